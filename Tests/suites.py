# SPDX-License-Identifier: Apache-2.0
"""What Tests/run is made of: suites that are run and counted, and what has to be on the machine for them."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from threading import BoundedSemaphore, Lock

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build/test"
VENV = ROOT / "build/venv"
REQUIREMENTS = ROOT / "bindings/python/tests/requirements.txt"
COUNT = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)
# A command at a time for each processor, whoever asks for it.
PROCESSORS = BoundedSemaphore(os.cpu_count())
# The exit status of a suite that cannot run on this machine, and says in its last line why (automake's and meson's number).
SKIPPED = 77


class Tally:
    """What all suites came to."""

    passed = failed = 0

    def __init__(self):
        self.lock = Lock()

    def add(self, name, passed, failed, note="", seconds=0.0, log=None):
        with self.lock:
            self.add_alone(name, passed, failed, note, seconds, log)

    def add_alone(self, name, passed, failed, note, seconds, log):
        if passed == 0 and failed == 0:
            failed, note = 1, note or "nothing was checked"
        self.passed += passed
        self.failed += failed
        note = f"   ({note})" if note else ""
        print(f"suite {name:<44} {passed:>6} passed, {failed} failed{note}   {seconds:.1f} s", flush=True)
        if failed and log:
            show(log)


tally = Tally()


def show(log):
    """The lines that say what is wrong, or else the end."""
    lines = log.read_text(errors="replace").splitlines()
    wrong = [line for line in lines if re.match(r"not ok|FAILED|ERROR|✘|.*: error: ", line)] or lines[-25:]
    for line in wrong[:25]:
        print("    " + line[:400])
    print(f"    ... in {log.relative_to(ROOT)}", flush=True)


def clean_environment(extra=()):
    """Ours without the settings under test, which a caller may have."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XENT_") or k == "XENT_RUNTIME"}
    environment.update(extra)
    return environment


def run(command, environment=(), timeout=600, log=None):
    """`execute` when a processor is free."""
    with PROCESSORS:
        return execute(command, environment, timeout, log)


def execute(command, environment=(), timeout=600, log=None):
    """(exit status, output); a command that takes too long is killed with all it started, and has status -SIGKILL."""
    command = [str(word) for word in command]
    process = subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)  # fmt: skip
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f"\nkilled after {timeout} s\n"
    if log:
        log.write_text(f"$ {' '.join(command)}\n{output}\n[exit status {process.returncode}]\n")
    return process.returncode, output


def together(jobs):
    """Calls functions without parameters, all at once, and gives their results: the commands that they run wait for a processor."""
    with ThreadPoolExecutor(max(1, len(jobs))) as pool:
        return [job.result() for job in [pool.submit(job) for job in jobs]]


def once(function):
    """The function, called once for the same arguments: who comes second waits for the first one's result."""
    results, lock = {}, Lock()

    @wraps(function)
    def call(*arguments):
        with lock:
            is_first = arguments not in results
            result = results.setdefault(arguments, Future())
        if is_first:
            try:
                result.set_result(function(*arguments))
            except BaseException as error:
                result.set_exception(error)
        return result.result()

    return call


def last_count(output):
    counts = COUNT.findall(output)
    return (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 0)


def suite(name, command, environment=(), count=last_count, timeout=600):
    """Runs a command as a suite. `count` makes (passed, failed) of its output."""
    log = WORK / (re.sub(r"[^a-z0-9.]+", "-", name.lower()) + ".log")
    try:
        with PROCESSORS:
            start = time.monotonic()
            status, output = execute(command, environment, timeout, log)
            seconds = time.monotonic() - start
    except OSError as error:
        tally.add(name, 0, 1, str(error))
        return
    if status == SKIPPED:
        reason = output.strip().rsplit("\n", 1)[-1] or "no reason given"
        print(f"suite {name:<44} skipped: {reason}", flush=True)
        return
    passed, failed = count(output)
    note = ""
    if status and not failed:
        failed = 1
        note = f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    skipped = re.search(r"(\d+) skipped", output)
    if skipped:
        note = note or skipped.group(0)
    tally.add(name, passed, failed, note, seconds, log)


# ---- Set-up ----------------------------------------------------------------------------------------------------------

# Most of it is waiting, perhaps for each other: no processor is taken for it.


def install(packages, reason):
    """With apt-get, as root or by sudo. None when done, otherwise why not."""
    if not shutil.which("apt-get"):
        return f"{reason}: please install {' '.join(packages)} (there is no apt-get here)"
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and (not shutil.which("sudo") or execute([*prefix, "true"])[0]):
        return f"{reason}: please run apt-get install {' '.join(packages)} (not root, and no sudo without a password)"
    print(f"installing {' '.join(packages)} ({reason})", flush=True)
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / "apt-get.log"
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    wait = ["-o", "DPkg::Lock::Timeout=300"]  # somebody else may be installing at this moment
    command = [*prefix, "apt-get", "install", "-y", "--no-install-recommends", *wait, *packages]
    with (WORK / "apt-get.lock").open("w") as lock:  # suites that run at the same time may both install something
        fcntl.flock(lock, fcntl.LOCK_EX)
        if execute(command, environment, log=log)[0]:  # the lists may be old or not there at all
            execute([*prefix, "apt-get", "update"], environment)
            status, output = execute(command, environment, log=log)
            if status:
                return f"{reason}: apt-get install {' '.join(packages)} failed: {output[-500:]}"
    return None


def make_venv():
    """The environment for the Python tests, made anew when its requirements change. None, or why it is not there."""
    stamp = VENV / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    if execute([sys.executable, "-c", "import ensurepip, venv"])[0]:
        problem = install(["python3-venv"], "the Python tests need it")
        if problem:
            return problem
    print("making build/venv", flush=True)
    log = WORK / "venv.log"
    pip = [VENV / "bin/python", "-m", "pip", "--disable-pip-version-check", "--retries", "1"]
    for command in ([sys.executable, "-m", "venv", "--clear", VENV], [*pip, "install", "-r", REQUIREMENTS]):
        if execute(command, log=log)[0]:
            return f"build/venv could not be made, see {log.relative_to(ROOT)}"
    stamp.write_text(wanted)
    return None
