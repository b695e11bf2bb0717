// SPDX-License-Identifier: Apache-2.0
//! What is this crate's own: shapes, lengths, in-place calls, conversions of targets, errors.

use xent::*;

const LOGITS: [f32; 6] = [1.0, 2.0, 7.0, 4.0, 7.0, 9.0];

#[test]
fn lengths_are_errors_not_panics() {
    let options = Options::new();
    let error = softmax(&LOGITS, (2, 2)).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Size, "logits has 6 elements, not 2 * 2 * 1"));
    let error = cross_entropy(&LOGITS, (2, 3), &[0i64], &options).unwrap_err();
    assert_eq!(error.to_string(), "targets has 1 elements, not 2 * 1 * 1");
    let error = softmax_into(&LOGITS, (2, 3), &mut [0.0; 5]).unwrap_err();
    assert_eq!(error.to_string(), "probs has 5 elements, not 2 * 3 * 1");
    let short = [1f32; 2];
    let error = cross_entropy(&LOGITS, (2, 3), &[0i64, 1], &Options::new().weight(&short)).unwrap_err();
    assert_eq!(error.to_string(), "weight has 2 elements, not 1 * 3 * 1");
    // Products that would wrap around are lengths that no slice has.
    assert_eq!(softmax(&LOGITS, (usize::MAX, 7)).unwrap_err().kind(), ErrorKind::Size);
    assert_eq!(softmax::<f32>(&[], (1 << 32, 1 << 32)).unwrap_err().kind(), ErrorKind::Size);
    assert_eq!(logsumexp::<f32>(&[], (usize::MAX, 0)).unwrap_err().kind(), ErrorKind::Size);
    assert_eq!(nll_loss_grad::<f32>((2, usize::MAX), &[0i64, 1], &options).unwrap_err().kind(), ErrorKind::Size);
    std::hint::black_box(error);
}

#[test]
fn in_place_is_the_same() {
    let mut logits = LOGITS;
    softmax_in_place(&mut logits, (2, 3)).unwrap();
    assert_eq!(softmax(&LOGITS, (2, 3)).unwrap(), logits);
    let mut logits = LOGITS;
    log_softmax_in_place(&mut logits, (2, 3)).unwrap();
    assert_eq!(log_softmax(&LOGITS, (2, 3)).unwrap(), logits);
    let (loss, grad) = cross_entropy_with_grad(&LOGITS, (2, 3), &[2i64, 1], &Options::new()).unwrap();
    let mut logits = LOGITS;
    assert_eq!(cross_entropy_with_grad_in_place(&mut logits, (2, 3), &[2i64, 1], &Options::new()), Ok(loss));
    assert_eq!(grad, logits);
    let mut into = [0.0; 6];
    assert_eq!(cross_entropy_with_grad_into(&LOGITS, (2, 3), &[2i64, 1], &Options::new(), &mut into), Ok(loss));
    assert_eq!(grad, into);
}

#[test]
fn a_class_axis_in_the_middle() {
    // (1, 3, 2): the transpose of LOGITS
    let middle = [1f32, 4.0, 2.0, 7.0, 7.0, 9.0];
    assert_eq!(logsumexp(&middle, (1, 3, 2)), logsumexp(&LOGITS, (2, 3)));
    let options = Options::new();
    let rows = cross_entropy_rows(&middle, (1, 3, 2), &[2i64, 1], &options);
    assert_eq!(rows, cross_entropy_rows(&LOGITS, (2, 3), &[2i64, 1], &options));
}

#[test]
fn every_integer_type_is_a_target() {
    let expected = cross_entropy(&LOGITS, (2, 3), &[2i64, 1], &Options::new()).unwrap();
    macro_rules! same {
        ($($type:ty)*) => { $(
            assert_eq!(cross_entropy(&LOGITS, (2, 3), &vec![2 as $type, 1], &Options::new()), Ok(expected));
        )* };
    }
    same!(i8 i16 i32 i64 u8 u16 u32 u64);
    let error = cross_entropy(&LOGITS, (2, 3), &[2u8, 156], &Options::new()).unwrap_err();
    assert_eq!((error.kind(), error.row(), error.value()), (ErrorKind::Target, Some(1), 156));
}

#[test]
fn soft_targets() {
    let hard = cross_entropy(&LOGITS, (2, 3), &[2i64, 1], &Options::new()).unwrap();
    let q = [0f32, 0.0, 1.0, 0.0, 1.0, 0.0];
    assert_eq!(cross_entropy(&LOGITS, (2, 3), Targets::probabilities(&q), &Options::new()), Ok(hard));
    let sparse = Targets::sparse(&[2i32, 1], &[1f32, 1.0], 1);
    assert_eq!(cross_entropy(&LOGITS, (2, 3), sparse, &Options::new()), Ok(hard));
}

#[test]
fn top_and_gather_and_reduction() {
    let (mut indices, mut log_probs, mut gathered) = ([0i64; 4], [0f32; 4], [0f32; 2]);
    let options = Options::new().gather(&[2u16, 0], 1);
    let mut outputs = Outputs::new().top(2, &mut indices, &mut log_probs).gathered(&mut gathered);
    softmax_outputs(&LOGITS, (2, 3), &options, &mut outputs).unwrap();
    let all = log_softmax(&LOGITS, (2, 3)).unwrap();
    assert_eq!((indices, gathered), ([2, 1, 2, 1], [all[2], all[3]]));
    assert_eq!(log_probs, [all[2], all[1], all[5], all[4]]);
    let none = Options::new().reduction(Reduction::None);
    assert_eq!(cross_entropy(&LOGITS, (2, 3), &[2i64, 1], &none).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(cross_entropy_rows(&LOGITS, (2, 3), &[2i64, 1], &none).is_ok());
}

#[test]
fn bits_of_sixteen() {
    let bits = [0x3C00u16, 0x4000, 0x3C00]; // 1, 2, 1
    assert_eq!(logsumexp(F16::from_bits(&bits), (1, 3)), logsumexp(&[1f32, 2.0, 1.0], (1, 3)));
    let mut bits = [0x3F80u16, 0x3F80];
    softmax_in_place(BF16::from_bits_mut(&mut bits), (1, 2)).unwrap();
    assert_eq!(bits, [0x3F00, 0x3F00]);
}

#[test]
fn threads_and_version() {
    assert_eq!(version() / 10000, 1);
    assert!(["baseline", "v3", "v4"].contains(&cpu_level()));
    set_num_threads(2).unwrap();
    assert_eq!(num_threads(), 2);
    let error = set_num_threads(usize::MAX).unwrap_err();
    assert_eq!((error.kind(), num_threads()), (ErrorKind::Option, 2));
    set_num_threads(0).unwrap();
}

#[test]
fn errors_are_errors() {
    fn check<E: std::error::Error + Send + Sync + 'static>(_: &E) {}
    check(&softmax(&LOGITS, (1, 1)).unwrap_err());
    fn shared<S: Send + Sync>() {}
    shared::<Options<f32>>();
    shared::<Targets<f32>>();
    shared::<Outputs<f32>>();
}
