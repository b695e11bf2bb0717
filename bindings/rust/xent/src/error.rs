// SPDX-License-Identifier: Apache-2.0
//! What can go wrong: the library's statuses, with the detail of `xent_error`.

use std::ffi::CStr;
use std::fmt;
use xent_sys::*;

/// The kind of an [`Error`]: the statuses of `xent.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something needed is not there, such as targets.
    Null,
    /// A slice's length or a shape does not fit.
    Size,
    /// A target is outside the classes and is not `ignore_index`.
    Target,
    /// An option is out of range.
    Option,
    /// An output overlaps another array.
    Overlap,
    /// Threads or memory could not be had; only [`set_num_threads`](crate::set_num_threads).
    NoMemory,
    /// A dtype that does not go there.
    Dtype,
    /// Two things that do not go together.
    Unsupported,
    /// A status of a newer library.
    Other(i32),
}

impl ErrorKind {
    fn of(status: xent_status) -> Self {
        match status {
            XENT_ERR_NULL => ErrorKind::Null,
            XENT_ERR_SIZE => ErrorKind::Size,
            XENT_ERR_TARGET => ErrorKind::Target,
            XENT_ERR_OPTION => ErrorKind::Option,
            XENT_ERR_OVERLAP => ErrorKind::Overlap,
            XENT_ERR_NO_MEMORY => ErrorKind::NoMemory,
            XENT_ERR_DTYPE => ErrorKind::Dtype,
            XENT_ERR_UNSUPPORTED => ErrorKind::Unsupported,
            other => ErrorKind::Other(other),
        }
    }
}

/// Why a call was refused. Nothing has been written then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    row: Option<usize>,
    value: i64,
}

/// What every function here returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Why, in a word.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence of the library, which names the argument: `xent_nll: targets[1] is 7, not in [0, 3) and ...`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The row that is wrong, if it is a matter of one row.
    pub fn row(&self) -> Option<usize> {
        self.row
    }

    /// The value that is wrong, where it is an integer; otherwise 0.
    pub fn value(&self) -> i64 {
        self.value
    }

    /// Of a length that this crate checks, as the library sees no slices.
    pub(crate) fn size(message: String) -> Self {
        Error { kind: ErrorKind::Size, message, row: None, value: 0 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The gate that every descriptor call goes through.
pub(crate) fn checked(call: impl FnOnce(*mut xent_error) -> xent_status) -> Result<()> {
    let mut detail = xent_error::default();
    let status = call(&mut detail);
    if status == XENT_OK {
        return Ok(());
    }
    // Terminated by the library, or by the zeros it was made with.
    let message = unsafe { CStr::from_ptr(detail.message.as_ptr()) }.to_string_lossy().into_owned();
    Err(Error { kind: ErrorKind::of(status), message, row: usize::try_from(detail.row).ok(), value: detail.value })
}

/// The same for functions without an `xent_error`.
pub(crate) fn of_status(status: xent_status) -> Result<()> {
    if status == XENT_OK {
        return Ok(());
    }
    let message = unsafe { CStr::from_ptr(xent_last_error()) }.to_string_lossy().into_owned();
    Err(Error { kind: ErrorKind::of(status), message, row: None, value: 0 })
}
