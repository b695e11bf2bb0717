# SPDX-License-Identifier: Apache-2.0
"""The peak of resident memory during a call, less what there was before it: what the call needs beside its arrays.

The kernel keeps the peak (VmHWM) and forgets it when told to. A call has been made before, so what is counted is what
it takes every time; malloc gives back what it keeps for later (malloc_trim), and so does a library that can be told to
(Call.forget). Of those with pools of their own that cannot (Peer.pools) nothing can be said in this way. Where the
kernel has no such thing, None.
"""

import ctypes


def _status(key):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise OSError(f"no {key}")


def extra_bytes(call):
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    if call.prepare:
        call.prepare()
    if call.forget:
        call.forget()
    trim(0)
    try:
        with open("/proc/self/clear_refs", "w") as forget:
            forget.write("5")
        before = _status("VmRSS")
        value = call.run()
        after = _status("VmHWM")
    except OSError:
        return None
    del value
    return max(0, after - before)
