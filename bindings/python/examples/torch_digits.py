#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A classifier of handwritten digits, trained twice with PyTorch: with PyTorch's cross-entropy and with xent's.

    pip install torch scikit-learn matplotlib        # the last is for the picture, and may be left out

The same network from the same weights sees the same batches; only the loss differs. Prints both loss curves with their
largest difference, the time of each training, and what one step of the loss costs here and at 32,000 classes. Ends with
exit status 1 if the curves are more than 1e-3 nats apart. Draws build/run/torch_digits.png (or --picture PATH).
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import xent.torch

HIDDEN, BATCH, RATE, MOMENTUM, SMOOTHING, SEED = 64, 64, 0.05, 0.9, 0.1, 7
LARGE = (512, 32000)  # tokens, words


def data():
    digits = load_digits()
    pixels = torch.from_numpy(digits.data / 16).float()
    parts = train_test_split(pixels, torch.from_numpy(digits.target).long(), test_size=0.3, random_state=SEED)
    return [torch.as_tensor(part) for part in parts]


def train(criterion, epochs, pixels, targets):
    """The trained network, the mean loss of each epoch, and the seconds that it took."""
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    curve = []
    start = time.perf_counter()
    for _ in range(epochs):
        losses = []
        for batch in torch.randperm(len(pixels)).split(BATCH):
            optimiser.zero_grad()
            loss = criterion(model(pixels[batch]), targets[batch])
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        curve.append(torch.stack(losses).mean().item())
    return model, curve, time.perf_counter() - start


def step_time(criterion, rows, classes, repeats):
    """The shortest time of a forward and backward pass of the loss alone, in seconds."""
    generator = torch.Generator().manual_seed(SEED)
    logits = torch.randn(rows, classes, generator=generator, requires_grad=True)
    targets = torch.randint(0, classes, (rows,), generator=generator)
    times = []
    for _ in range(repeats):
        logits.grad = None
        start = time.perf_counter()
        criterion(logits, targets).backward()
        times.append(time.perf_counter() - start)
    return min(times)


def draw(path, curves, apart):
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    epochs = range(1, len(curves["torch"]) + 1)
    axes.plot(epochs, curves["torch"], color="#d9662b", linewidth=7, alpha=0.45, label="torch.nn.CrossEntropyLoss")
    axes.plot(epochs, curves["xent"], color="#2563a8", linewidth=1.8, label="xent.torch.CrossEntropyLoss")
    axes.set(xlabel="epoch", ylabel="training loss in nats", xlim=(1, len(epochs)))
    axes.set_title(f"One network, trained with either loss: at most {apart:.1e} nats apart", loc="left", weight="bold")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    axes.grid(axis="y", color="#e4e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=140)
    plt.close(figure)
    print(path)


def main(arguments=None):
    default = Path(__file__).resolve().parents[3] / "build" / "run" / "torch_digits.png"
    parser = argparse.ArgumentParser(description="Train a classifier of digits with PyTorch's loss and with xent's.")
    parser.add_argument("--epochs", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--picture", type=Path, default=default, help="where the picture goes (%(default)s)")
    options = parser.parse_args(arguments)

    pixels, held_pixels, targets, held_targets = data()
    criteria = {
        "torch": nn.CrossEntropyLoss(label_smoothing=SMOOTHING),
        "xent": xent.torch.CrossEntropyLoss(label_smoothing=SMOOTHING),
    }
    train(criteria["torch"], 1, pixels, targets)  # what is started once is not timed
    curves, accuracies, seconds = {}, {}, {}
    for name, criterion in criteria.items():
        model, curves[name], seconds[name] = train(criterion, options.epochs, pixels, targets)
        accuracies[name] = (model(held_pixels).argmax(1) == held_targets).float().mean().item()

    print(f"{'epoch':>22} {'torch':>12} {'xent':>12}")
    for epoch in sorted({0, options.epochs // 4, options.epochs // 2, options.epochs - 1}):
        print(f"{epoch + 1:>22} {curves['torch'][epoch]:>12.7f} {curves['xent'][epoch]:>12.7f}")
    apart = max(abs(a - b) for a, b in zip(curves["torch"], curves["xent"]))
    print(f"{'held-out accuracy':>22} {accuracies['torch']:>12.2%} {accuracies['xent']:>12.2%}")
    print(f"{'training':>22} {seconds['torch']:>10.2f} s {seconds['xent']:>10.2f} s")
    for (rows, classes), repeats, words in (((BATCH, 10), 200, "here"), (LARGE, 5, f"{LARGE[0]} x {LARGE[1]:,}")):
        both = (f"{step_time(criterion, rows, classes, repeats) * 1e3:>9.3f} ms" for criterion in criteria.values())
        print(f"{'loss, ' + words:>22}", *both)
    print(f"The curves are at most {apart:.1e} nats apart.")
    draw(options.picture, curves, apart)
    if apart > 1e-3:
        sys.exit("PyTorch's loss and xent's have trained differently")


if __name__ == "__main__":
    main()
