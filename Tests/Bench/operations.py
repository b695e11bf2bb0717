# SPDX-License-Identifier: Apache-2.0
"""What is measured: the operations, where their results may go, the shapes, and what the machine would need for each, of its
memory and of its arithmetic.

The words of the tables:
  in place   the result replaces the logits
  warm       the result goes into an array that was given and has been written before
  fresh      the call makes the array of the result: page faults included, unless the library keeps memory for that, as
             Xent's Python package and ONNX Runtime do
  -          the result is small, and it makes no difference
"""

from dataclasses import dataclass, field, replace

NONE, IN_PLACE, WARM, FRESH = "-", "in place", "warm", "fresh"
# What a peer may use instead: one that cannot work in place has done the job out of place, not the other way round.
ANSWERS = {NONE: (NONE,), IN_PLACE: (IN_PLACE, WARM, FRESH), WARM: (WARM, FRESH), FRESH: (FRESH,)}


@dataclass(frozen=True)
class Operation:
    name: str
    outputs: tuple  # what it gives, by the names of reference.py
    limits: dict  # where the result goes -> the passes over arrays of the logits' size that it cannot do without
    work: tuple = ()  # the loops of arithmetic (arithmetic.h) that it cannot do without, exact as it is
    targets: str = "index"  # or "binary": as many as there are logits


# Where there is a choice of passes or loops the faster one counts.
KINDS = {"copy": ("copy", "copy_nt"), "share": ("share", "kept_share")}
TERMS = ("largest", "sum")


# A loss reads the logits; what has the logits' shape is written too. Class indices are not counted: a few per cent.
OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("forward", ("loss",), {NONE: ("read",)}, TERMS),
        Operation("gradient", ("loss", "grad"), {IN_PLACE: ("scale",), WARM: ("copy",), FRESH: ("copy",)}, (*TERMS, "share")),
        Operation("log_softmax", ("log_probs",), {WARM: ("copy",), FRESH: ("copy",)}, (*TERMS, "log_share")),
        Operation("softmax", ("probs",), {WARM: ("copy",), FRESH: ("copy",)}, (*TERMS, "share")),
        Operation("logsumexp", ("lse",), {NONE: ("read",)}, TERMS),
        Operation("binary", ("loss",), {NONE: ("read", "read")}, targets="binary"),
        Operation("binary gradient", ("loss", "grad"), {IN_PLACE: ("read", "scale"), WARM: ("read", "copy"),
                                                        FRESH: ("read", "copy")}, targets="binary"),
    )
}  # fmt: skip

# The class axis is 1. The first four are batches of classifiers and language models, the fifth and sixth have
# vocabularies of 128k and 256k, the seventh is one step of generating, the last one segments images.
SHAPES = (
    (65536, 10), (8192, 1000), (4096, 4096), (1024, 32000), (512, 128256), (64, 262144), (1, 262144), (8, 21, 256, 256),
)  # fmt: skip
DTYPES = ("f32", "bf16")


def shape_name(shape):
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class Plan:
    """How much of it a run measures, and for how long."""

    shapes: tuple = SHAPES
    operations: dict = field(default_factory=lambda: dict.fromkeys(DTYPES, tuple(OPERATIONS)))
    threads: tuple = (1, 2)
    peers: tuple = ("torch", "jax", "onnxruntime", "numpy", "scipy", "sklearn", "tensorflow")
    # Of one operation on one array, every subject taking turns; the least number of turns; how much slower than the
    # fastest a subject may be to have all of them.
    seconds: float = 4.0
    turns: int = 7
    visit_seconds: float = 0.01  # of calls in one turn, so that short ones are not all first ones
    patience: float = 4.0
    pass_seconds: float = 0.1  # of one pass of one size in the roofline, of up to 2^power bytes
    pass_power: int = 29
    small_calls: int = 5000
    scaling_seconds: float = 0.3
    compiled: bool = True  # torch.compile, some seconds for each function and shape
    process_seconds: float = float("inf")  # after which a process begins nothing new, and says what it left out

    def only(self, shape="", dtype="", operation="", peer=""):
        """The part of it that is named, words separated by commas; an empty text names all."""

        def keep(values, words, name=str):
            return tuple(v for v in values if not words or name(v) in words.split(","))

        return replace(
            self, shapes=keep(self.shapes, shape, shape_name), peers=keep(self.peers, peer),
            operations={d: keep(self.operations[d], operation) for d in keep(self.operations, dtype)},
        )  # fmt: skip


# Two minutes: small arrays, and not the libraries that take seconds to be loaded or to compile.
QUICK = Plan(
    shapes=((65536, 10), (512, 4096), (1, 21, 256, 256)),
    peers=("torch", "jax", "onnxruntime", "numpy", "scipy", "sklearn"),
    operations={"f32": tuple(OPERATIONS), "bf16": ("forward", "gradient", "log_softmax")},
    seconds=0.2, turns=3, visit_seconds=0.003, pass_seconds=0.002, pass_power=27, small_calls=1000,
    scaling_seconds=0.03, compiled=False, process_seconds=50,
)  # fmt: skip


def add_plan(parser):
    """The arguments that both `run` and the processes it starts take."""
    parser.add_argument("--quick", action="store_true", help="two minutes: small arrays, fewer libraries")
    parser.add_argument("--seed", type=int, default=1)
    for name, example in (("shape", "1024x32000"), ("dtype", "bf16"), ("operation", "forward"), ("peer", "torch,jax")):
        parser.add_argument(f"--{name}", default="", metavar="NAMES", help=f"only these, e.g. {example}")


def the_plan(arguments):
    plan = QUICK if arguments.quick else Plan()
    return plan.only(arguments.shape, arguments.dtype, arguments.operation, arguments.peer)
