// SPDX-License-Identifier: Apache-2.0
//! The structs, constants and functions against xent.h: a C compiler prints what they are there.

use std::collections::HashMap;
use std::fs;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::process::Command;
use xent_sys::*;

const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../Include");

/// Functions that this crate does not declare: XLA's handlers, which XLA calls.
const NOT_DECLARED: &str = "xent_xla_";

/// (C expression, its value in Rust)
macro_rules! offsets {
    ($($type:ident { $($field:ident),* $(,)? })*) => {
        vec![$($((
            concat!("offsetof(", stringify!($type), ", ", stringify!($field), ")"),
            offset_of!($type, $field) as i64,
        )),*),*]
    };
}

macro_rules! values {
    ($($name:ident)*) => { vec![$((stringify!($name), i64::from($name))),*] };
}

/// The values of integer expressions in C.
fn in_c(name: &str, expressions: &[&str]) -> HashMap<String, i64> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join(format!("{name}.c")), folder.join(name));
    let lines: String =
        expressions.iter().map(|e| format!("  printf(\"%s=%lld\\n\", \"{e}\", (long long)({e}));\n")).collect();
    let text = format!("#include <xent.h>\n#include <stdio.h>\nint main(void) {{\n{lines}  return 0;\n}}\n");
    fs::write(&source, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut words = compiler.split_whitespace();
    let compiled = Command::new(words.next().unwrap())
        .args(words)
        .arg(format!("-I{INCLUDE}"))
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .status();
    assert!(compiled.unwrap().success(), "the probe does not compile");
    let output = String::from_utf8(Command::new(&program).output().unwrap().stdout).unwrap();
    output.lines().map(|line| line.split_once('=').unwrap()).map(|(e, v)| (e.into(), v.parse().unwrap())).collect()
}

fn compare(name: &str, ours: Vec<(&str, i64)>) {
    let theirs = in_c(name, &ours.iter().map(|(e, _)| *e).collect::<Vec<_>>());
    let wrong: Vec<_> = ours.iter().filter(|(e, v)| theirs[*e] != *v).map(|(e, v)| (e, v, theirs[*e])).collect();
    assert!(wrong.is_empty(), "(what, here, in C): {wrong:?}");
}

#[test]
fn structs_lie_as_in_c() {
    compare(
        "offsets",
        offsets! {
            xent_tensor { struct_size, data, dtype, reserved, outer, classes, inner, outer_stride, class_stride, inner_stride }
            xent_options {
                struct_size, reduction, smoothing, empty_mean, masked_row, divergence, num_threads, ignore_index,
                label_smoothing, temperature, softcap, focal_gamma, poly_epsilon, z_loss, weight, pos_weight, row_mask,
                class_mask, target_probs, grad_loss, gather, accuracy, reserved,
            }
            xent_outputs {
                struct_size, loss, row_loss, grad_logits, probs, log_probs, lse, entropy, max_logit, target_log_prob, z_loss,
                argmax, target_rank, top_indices, top_log_probs, gathered, correct, rows_counted, loss_sum, weight_sum,
            }
            xent_error { struct_size, status, reserved, row, value, message }
        },
    );
}

/// A header may have grown at the end, which struct_size makes up for; it never shrinks.
#[test]
fn structs_are_no_larger_than_in_c() {
    let ours = [
        ("sizeof(xent_tensor)", size_of::<xent_tensor>()),
        ("sizeof(xent_options)", size_of::<xent_options>()),
        ("sizeof(xent_outputs)", size_of::<xent_outputs>()),
        ("sizeof(xent_error)", size_of::<xent_error>()),
    ];
    let theirs = in_c("sizes", &ours.map(|(e, _)| e));
    for (expression, size) in ours {
        assert!(size as i64 <= theirs[expression], "{expression} is {}, here {size}", theirs[expression]);
    }
}

#[test]
fn constants_are_those_of_c() {
    compare(
        "constants",
        values! {
            XENT_OK XENT_ERR_NULL XENT_ERR_SIZE XENT_ERR_TARGET XENT_ERR_OPTION XENT_ERR_OVERLAP XENT_ERR_NO_MEMORY
            XENT_ERR_DTYPE XENT_ERR_UNSUPPORTED XENT_REDUCTION_NONE XENT_REDUCTION_MEAN XENT_REDUCTION_SUM
            XENT_REDUCTION_MEAN_ROWS XENT_IGNORE_INDEX XENT_F32 XENT_F64 XENT_F16 XENT_BF16 XENT_I8 XENT_I16 XENT_I32
            XENT_I64 XENT_U8 XENT_U16 XENT_U32 XENT_U64 XENT_SMOOTHING_WEIGHTED XENT_SMOOTHING_UNIFORM XENT_NAN XENT_ZERO
            XENT_KL XENT_REVERSE_KL XENT_SOFT_CROSS_ENTROPY XENT_JENSEN_SHANNON XENT_MAX_TOP XENT_MAX_THREADS
        },
    );
}

/// By the names in the sources: what has no declaration here cannot be named in Rust.
#[test]
fn every_function_is_declared() {
    let sources = [include_str!("../src/lib.rs"), include_str!("../src/plain.rs")];
    let map = fs::read_to_string(format!("{INCLUDE}/xent.map")).unwrap();
    let names: Vec<_> =
        map.lines().filter_map(|l| l.trim().strip_suffix(';')).filter(|l| l.starts_with("xent_")).collect();
    assert!(names.len() > 50);
    let declared = |name: &str| sources.iter().any(|text| text.contains(&format!("pub fn {name}(")));
    let missing: Vec<_> = names.into_iter().filter(|n| !declared(n) && !n.starts_with(NOT_DECLARED)).collect();
    assert!(missing.is_empty(), "not declared: {missing:?}");
}

/// Every plain function links and is callable; the results are tested by the crate `xent`.
#[test]
fn a_plain_call() {
    let (logits, targets) = ([1f32, 2., 7., 4., 7., 9., 8., 3., 4.], [2i64, 2, 0]);
    let (mut loss, mut grad) = (0f32, [0f32; 9]);
    let status = unsafe {
        xent_cross_entropy_grad_f32(
            logits.as_ptr(),
            targets.as_ptr(),
            3,
            3,
            std::ptr::null(),
            XENT_IGNORE_INDEX,
            XENT_REDUCTION_MEAN,
            &mut loss,
            grad.as_mut_ptr(),
        )
    };
    assert_eq!((status, loss), (XENT_OK, 0.055588204));
    assert!(unsafe { xent_version() } / 10000 == XENT_VERSION / 10000);
}
