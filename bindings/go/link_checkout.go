// SPDX-License-Identifier: Apache-2.0

//go:build xent_checkout

package xent

// #cgo CFLAGS: -I${SRCDIR}/../../Include
// #cgo LDFLAGS: -L${SRCDIR}/../../build/lib -Wl,-rpath,${SRCDIR}/../../build/lib -lxent
import "C"
