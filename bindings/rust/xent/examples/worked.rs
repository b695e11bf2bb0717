// SPDX-License-Identifier: Apache-2.0
//! Three rows of logits, their loss, gradient and more from one pass, and what a mistake looks like.

use xent::{cross_entropy_outputs, Options, Outputs};

fn main() -> Result<(), xent::Error> {
    let logits = [1f32, 2., 7., 4., 7., 9., 8., 3., 4.];
    let targets = [2u8, 2, 0];
    let (mut loss, mut grad, mut entropy, mut correct) = (0.0, [0f32; 9], [0f32; 3], 0);
    let mut outputs = Outputs::new().loss(&mut loss).grad_logits(&mut grad).entropy(&mut entropy).correct(&mut correct);
    cross_entropy_outputs(&logits, (3, 3), &targets, &Options::new(), &mut outputs)?;
    println!("loss     {loss:.9} nats, {correct} of 3 right");
    println!("entropy  {entropy:.6?}");
    println!("grad     {:.6?} of the first row", &grad[..3]);
    if let Err(error) = xent::cross_entropy(&logits, (3, 3), &[2i64, 7, 0], &Options::new()) {
        println!("error    {error}");
    }
    Ok(())
}
