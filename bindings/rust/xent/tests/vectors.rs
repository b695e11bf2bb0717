// SPDX-License-Identifier: Apache-2.0
//! Tests/Golden/vectors.json through the safe interface; Tests/Golden/vectors.py describes it.

mod json;

use json::Json;
use std::collections::HashMap;
use xent::*;

const VECTORS: &str = include_str!("../../../../Tests/Golden/vectors.json");

/// A dtype as the file writes it, and its place in the order of all its numbers.
trait Written: Element + std::fmt::Debug {
    fn read(json: &Json) -> Self;
    /// None for NaN; -0 and 0 are one.
    fn place(self) -> Option<i128>;
    fn expected(json: &Json) -> Option<i128>;
}

fn ordered(bits: u64, width: u32, infinity: u64) -> Option<i128> {
    let magnitude = bits & !(1 << (width - 1));
    let sign = if bits == magnitude { 1 } else { -1 };
    (magnitude <= infinity).then_some(sign * i128::from(magnitude))
}

macro_rules! written {
    ($($type:ident: $width:literal, $infinity:expr, $read:expr, $bits:expr;)*) => { $(
        impl Written for $type {
            fn read(json: &Json) -> Self { $read(json) }
            fn place(self) -> Option<i128> { ordered($bits(self) as u64, $width, $infinity as u64) }
            fn expected(json: &Json) -> Option<i128> {
                if json.text() == "nan" { None } else { Self::read(json).place() }
            }
        }
    )* };
}
written! {
    f32: 32, f32::INFINITY.to_bits(), Json::parse::<f32>, f32::to_bits;
    f64: 64, f64::INFINITY.to_bits(), Json::parse::<f64>, f64::to_bits;
    F16: 16, 0x7C00, |j: &Json| F16(j.parse()), |x: F16| x.0;
    BF16: 16, 0x7F80, |j: &Json| BF16(j.parse()), |x: BF16| x.0;
}

#[derive(Default)]
struct Count {
    passed: usize,
    wrong: Vec<String>,
}

struct Case<'a> {
    json: &'a Json,
    rows: usize,
    classes: usize,
    title: String,
}

impl<'a> Case<'a> {
    fn new(json: &'a Json) -> Self {
        let field = |name: &str| json.get(name).unwrap();
        let words = ["function", "dtype", "name"].map(|name| field(name).text());
        Case { json, rows: field("rows").parse(), classes: field("classes").parse(), title: words.join(" ") }
    }

    fn function(&self) -> &str {
        self.json.get("function").unwrap().text()
    }

    fn floats<T: Written>(&self, name: &str) -> Option<Vec<T>> {
        Some(self.json.get("inputs")?.get(name)?.list().iter().map(T::read).collect())
    }

    fn integers<N: std::str::FromStr>(&self, name: &str) -> Option<Vec<N>> {
        Some(self.json.get("inputs")?.get(name)?.list().iter().map(Json::parse).collect())
    }

    fn wants(&self, output: &str) -> bool {
        self.json.get("error").is_some() || self.json.get("outputs").unwrap().get(output).is_some()
    }

    fn compare<T: Written>(&self, count: &mut Count, output: &str, got: &[T]) {
        let Some(expected) = self.json.get("outputs").and_then(|o| o.get(output)) else { return };
        let most: i128 = expected.get("max_ulp").unwrap().parse();
        let values = expected.get("values").unwrap().list();
        assert_eq!(values.len(), got.len(), "{} {output}", self.title);
        for (n, (value, &g)) in values.iter().zip(got).enumerate() {
            let right = match (T::expected(value), g.place()) {
                (Some(a), Some(b)) => (a - b).abs() <= most,
                (a, b) => a.is_none() && b.is_none(),
            };
            if right {
                count.passed += 1;
            } else {
                count.wrong.push(format!("{} {output}[{n}]: {g:?}, not {value:?}", self.title));
            }
        }
    }

    fn compare_integers(&self, count: &mut Count, output: &str, got: &[i64]) {
        let Some(expected) = self.json.get("outputs").and_then(|o| o.get(output)) else { return };
        let values: Vec<i64> = expected.get("values").unwrap().list().iter().map(Json::parse).collect();
        if values == got {
            count.passed += 1;
        } else {
            count.wrong.push(format!("{} {output}: {got:?}, not {values:?}", self.title));
        }
    }
}

fn options<'a, T: Written>(case: &Case, memory: &'a Memory<T>) -> Options<'a, T> {
    let Some(Json::Object(fields)) = case.json.get("options") else { panic!("no options") };
    let mut options = Options::new();
    for (name, value) in fields {
        options = match (name.as_str(), value.text()) {
            ("reduction", "none") => options.reduction(Reduction::None),
            ("reduction", "mean") => options.reduction(Reduction::Mean),
            ("reduction", "sum") => options.reduction(Reduction::Sum),
            ("reduction", "mean_rows") => options.reduction(Reduction::MeanRows),
            ("smoothing", "uniform") => options.smoothing_uniform(true),
            ("accuracy", "fastest") => options.fastest(true),
            ("divergence", "reverse_kl") => options.divergence(Divergence::ReverseKl),
            ("divergence", "soft_cross_entropy") => options.divergence(Divergence::SoftCrossEntropy),
            ("divergence", "jensen_shannon") => options.divergence(Divergence::JensenShannon),
            ("ignore_index", _) => options.ignore_index(value.parse()),
            ("label_smoothing", _) => options.label_smoothing(value.parse()),
            ("temperature", _) => options.temperature(value.parse()),
            ("softcap", _) => options.softcap(value.parse()),
            ("focal_gamma", _) => options.focal_gamma(value.parse()),
            ("poly_epsilon", _) => options.poly_epsilon(value.parse()),
            ("z_loss", _) => options.z_loss(value.parse()),
            other => panic!("unknown option {other:?}"),
        };
    }
    let given = |name: &str| memory.reals.get(name).map(Vec::as_slice);
    let masks = |name: &str| memory.masks.get(name).map(Vec::as_slice);
    options = given("weight").into_iter().fold(options, Options::weight);
    options = given("pos_weight").into_iter().fold(options, Options::pos_weight);
    options = given("grad_loss").into_iter().fold(options, Options::grad_loss);
    options = masks("row_mask").into_iter().fold(options, Options::row_mask);
    masks("class_mask").into_iter().fold(options, Options::class_mask)
}

/// What the options borrow.
struct Memory<T: Element> {
    reals: HashMap<&'static str, Vec<T::Real>>,
    masks: HashMap<&'static str, Vec<u8>>,
}

fn run<T: Written>(case: &Case, count: &mut Count)
where
    T::Real: Written,
{
    let reals = ["weight", "pos_weight", "grad_loss"];
    let masks = ["row_mask", "class_mask"];
    let memory = Memory::<T> {
        reals: reals.iter().filter_map(|&n| Some((n, case.floats(n)?))).collect(),
        masks: masks.iter().filter_map(|&n| Some((n, case.integers(n)?))).collect(),
    };
    let options = options(case, &memory);
    let shape = (case.rows, case.classes);
    let of_rows = case.json.get("options").unwrap().get("reduction").is_some_and(|r| r.text() == "none");
    let function = case.function();

    if matches!(function, "softmax_grad" | "log_softmax_grad") {
        let kind = function.strip_suffix("softmax_grad").unwrap();
        let first = case.floats::<T>(&format!("{kind}probs")).unwrap();
        let grads = case.floats::<T>(&format!("grad_{kind}probs")).unwrap();
        let grad =
            if kind.is_empty() { softmax_grad(&first, &grads, shape) } else { log_softmax_grad(&first, &grads, shape) };
        case.compare(count, "grad_logits", &grad.unwrap());
        return;
    }

    let elements = case.rows * case.classes;
    let (zero, real) = (T::default(), T::Real::default());
    let losses = if function == "binary_cross_entropy" { elements } else { case.rows };
    let (mut loss, mut row_loss) = (real, vec![real; losses]);
    let (mut grad, mut probs, mut log_probs) = (vec![zero; elements], vec![zero; elements], vec![zero; elements]);
    let (mut lse, mut entropy, mut target) = (vec![real; case.rows], vec![real; case.rows], vec![real; case.rows]);
    let (mut argmax, mut rank, mut correct, mut counted) = (vec![0; case.rows], vec![0; case.rows], 0, 0);
    let mut outputs = Outputs::new();
    if case.wants("loss") {
        outputs = if of_rows { outputs.row_loss(&mut row_loss) } else { outputs.loss(&mut loss) };
    }
    macro_rules! want {
        ($($name:ident: $place:ident),*) => { $(if case.json.get("error").is_none() && case.wants(stringify!($name)) {
            outputs = outputs.$name(&mut $place);
        })* };
    }
    want!(grad_logits: grad, probs: probs, log_probs: log_probs, lse: lse, entropy: entropy, target_log_prob: target,
          argmax: argmax, target_rank: rank, correct: correct, rows_counted: counted);

    let logits = ["logits", "log_probs", "student"].iter().find_map(|n| case.floats::<T>(n)).unwrap();
    let indices = if function.starts_with("binary") { None } else { case.integers::<i64>("targets") };
    let soft = ["probabilities", "teacher", "targets"]
        .iter()
        .find_map(|n| indices.is_none().then(|| case.floats::<T>(n)).flatten());
    let targets = || match (&indices, &soft) {
        (Some(t), _) => Targets::indices(t),
        (None, Some(q)) => Targets::probabilities(q),
        _ => panic!("no targets"),
    };
    let result = match function {
        "softmax" => softmax_outputs(&logits, shape, &options, &mut outputs),
        "cross_entropy" => cross_entropy_outputs(&logits, shape, targets(), &options, &mut outputs),
        "binary_cross_entropy" => {
            binary_cross_entropy_outputs(&logits, shape, soft.as_ref().unwrap(), &options, &mut outputs)
        }
        "nll" => {
            // No single function gives both here.
            if case.wants("grad_logits") && case.json.get("error").is_none() {
                let got = nll_loss_grad(shape, targets(), &options).unwrap();
                case.compare(count, "grad_logits", &got);
            }
            let computed = if of_rows {
                nll_loss_rows(&logits, shape, targets(), &options).map(|l| row_loss = l)
            } else {
                nll_loss(&logits, shape, targets(), &options).map(|l| loss = l)
            };
            return finish(case, count, computed, &loss, &row_loss, of_rows);
        }
        "divergence" => match divergence_with_grad(&logits, soft.as_ref().unwrap(), shape, &options) {
            Ok((l, g)) => {
                (loss, grad) = (l, g);
                Ok(())
            }
            Err(error) => Err(error),
        },
        other => panic!("unknown function {other}"),
    };
    if result.is_ok() {
        case.compare(count, "grad_logits", &grad);
        case.compare(count, "probs", &probs);
        case.compare(count, "log_probs", &log_probs);
        case.compare(count, "lse", &lse);
        case.compare(count, "entropy", &entropy);
        case.compare(count, "target_log_prob", &target);
        case.compare_integers(count, "argmax", &argmax);
        case.compare_integers(count, "target_rank", &rank);
        case.compare_integers(count, "correct", &[correct]);
        case.compare_integers(count, "rows_counted", &[counted]);
    }
    finish(case, count, result, &loss, &row_loss, of_rows);
}

/// The loss, or the error.
fn finish<R: Written>(case: &Case, count: &mut Count, result: Result<()>, loss: &R, row_loss: &[R], of_rows: bool) {
    let Some(expected) = case.json.get("error") else {
        result.unwrap_or_else(|error| panic!("{}: {error}", case.title));
        case.compare(count, "loss", if of_rows { row_loss } else { std::slice::from_ref(loss) });
        return;
    };
    let error = result.expect_err(&case.title);
    let kind = match expected.get("status").unwrap().text() {
        "XENT_ERR_TARGET" => ErrorKind::Target,
        "XENT_ERR_OPTION" => ErrorKind::Option,
        "XENT_ERR_UNSUPPORTED" => ErrorKind::Unsupported,
        other => panic!("unknown status {other}"),
    };
    let row: i64 = expected.get("row").unwrap().parse();
    let message = format!("xent_{}: {}", case.function(), expected.get("message").unwrap().text());
    assert_eq!((error.kind(), error.row()), (kind, usize::try_from(row).ok()), "{}", case.title);
    assert_eq!((error.value(), error.message()), (expected.get("value").unwrap().parse(), message.as_str()));
    count.passed += 1;
}

#[test]
fn vectors() {
    let file = Json::read(VECTORS);
    assert_eq!(file.get("format").unwrap().parse::<u32>(), 1);
    let mut count = Count::default();
    for json in file.get("cases").unwrap().list() {
        let case = Case::new(json);
        match json.get("dtype").unwrap().text() {
            "f32" => run::<f32>(&case, &mut count),
            "f64" => run::<f64>(&case, &mut count),
            "f16" => run::<F16>(&case, &mut count),
            "bf16" => run::<BF16>(&case, &mut count),
            other => panic!("unknown dtype {other}"),
        }
    }
    assert!(count.wrong.is_empty(), "{} wrong:\n{}", count.wrong.len(), count.wrong.join("\n"));
    assert!(count.passed > 5000, "only {} values were compared", count.passed);
}
