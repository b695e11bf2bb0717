// SPDX-License-Identifier: Apache-2.0

package xent

// #include <xent.h>
import "C"

// Status is why a call was refused: the statuses of xent.h.
type Status int

const (
	StatusNull        Status = C.XENT_ERR_NULL
	StatusSize        Status = C.XENT_ERR_SIZE
	StatusTarget      Status = C.XENT_ERR_TARGET
	StatusOption      Status = C.XENT_ERR_OPTION
	StatusOverlap     Status = C.XENT_ERR_OVERLAP
	StatusNoMemory    Status = C.XENT_ERR_NO_MEMORY
	StatusDtype       Status = C.XENT_ERR_DTYPE
	StatusUnsupported Status = C.XENT_ERR_UNSUPPORTED
)

// String is the library's sentence for the status, also for one of a newer library.
func (s Status) String() string { return C.GoString(C.xent_status_string(C.xent_status(s))) }

// Error is what every function here returns when it fails; nothing has been written then. errors.As finds it.
type Error struct {
	Status Status
	// Row is the one that is wrong, -1 if it is not a matter of one row.
	Row int64
	// Value is what is wrong, where it is an integer; otherwise 0.
	Value int64
	// Message names the argument: "xent_nll: targets[1] is 7, not in [0, 3) and ...".
	Message string
}

func (e *Error) Error() string { return e.Message }
