// SPDX-License-Identifier: Apache-2.0
//! Finds libxent: in XENT_LIB_DIR, by pkg-config, or in build/lib of the checkout this crate lies in, in this order.
//! XENT_STATIC=1 links libxent.a, so that the program needs no libxent.so.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=XENT_LIB_DIR");
    println!("cargo:rerun-if-env-changed=XENT_STATIC");
    let folder = env::var_os("XENT_LIB_DIR").map(PathBuf::from).or_else(installed).or_else(checkout);
    if let Some(folder) = folder {
        println!("cargo:rustc-link-search=native={}", folder.display());
        println!("cargo:lib_dir={}", folder.display()); // DEP_XENT_LIB_DIR in the build script of a crate that depends on this
    }
    // Without a folder the linker looks where it always does.
    if env::var_os("XENT_STATIC").is_some_and(|v| v != "0") {
        println!("cargo:rustc-link-lib=static=xent");
        println!("cargo:rustc-link-lib=m");
        println!("cargo:rustc-link-lib=pthread");
    } else {
        println!("cargo:rustc-link-lib=dylib=xent");
    }
}

fn installed() -> Option<PathBuf> {
    let output = Command::new("pkg-config").args(["--variable=libdir", "xent"]).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !folder.trim().is_empty()).then(|| PathBuf::from(folder.trim()))
}

fn checkout() -> Option<PathBuf> {
    let folder = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).join("../../../build/lib").canonicalize().ok()?;
    println!("cargo:rerun-if-changed={}", folder.display());
    Some(folder)
}
