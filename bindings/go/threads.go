// SPDX-License-Identifier: Apache-2.0

package xent

// #include <xent.h>
import "C"

import "runtime"

func lockedSetNumThreads(number C.int32_t) (C.xent_status, string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := C.xent_set_num_threads(number)
	if status == C.XENT_OK {
		return status, ""
	}
	return status, C.GoString(C.xent_last_error())
}
