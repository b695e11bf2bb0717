// SPDX-License-Identifier: Apache-2.0
import dev.xent.Array;
import dev.xent.Function;
import dev.xent.Output;
import dev.xent.Results;
import dev.xent.Shape;
import dev.xent.Xent;
import dev.xent.XentException;
import java.util.Arrays;

/** Three rows of logits, their loss, gradient and more from one pass, and what a mistake looks like. */
public final class Worked {
  public static void main(String[] words) {
    float[] logits = {1, 2, 7, 4, 7, 9, 8, 3, 4};
    Results found = Xent.call(Function.CROSS_ENTROPY, Array.of(logits), Shape.of(3, 3))
        .targets(Array.of(new byte[] {2, 2, 0}))
        .want(Output.LOSS, Output.GRAD_LOGITS, Output.ENTROPY, Output.CORRECT).run();
    System.out.printf("loss     %.9f nats, %.0f of 3 right%n", found.number(Output.LOSS), found.number(Output.CORRECT));
    System.out.println("entropy  " + Arrays.toString(found.floats(Output.ENTROPY)));
    System.out.println("grad     " + Arrays.toString(found.floats(Output.GRAD_LOGITS)));
    try {
      Xent.crossEntropy(logits, Shape.of(3, 3), 2, 7, 0);
    } catch (XentException e) {
      System.out.println("error    " + e.getMessage() + " (row " + e.row() + ", value " + e.value() + ")");
    }
  }
}
