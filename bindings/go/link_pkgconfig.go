// SPDX-License-Identifier: Apache-2.0

//go:build !xent_checkout

package xent

// #cgo pkg-config: xent
import "C"
