// SPDX-License-Identifier: Apache-2.0
package dev.xent;

import com.sun.jna.Library;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.Structure.FieldOrder;
import java.nio.charset.StandardCharsets;

/** xent.h for JNA: its structs and the functions that are used here. size_t is 8 bytes, as libxent is for 64 bits. */
interface Native extends Library {
  Native LIBRARY = com.sun.jna.Native.load(
      System.getProperty("xent.library", System.getenv().getOrDefault("XENT_LIBRARY", "xent")), Native.class);

  @FieldOrder({"struct_size", "data", "dtype", "reserved", "outer", "classes", "inner", "outer_stride", "class_stride",
      "inner_stride"})
  final class Tensor extends Structure {
    public long struct_size = size();
    public Pointer data;
    public int dtype, reserved;
    public long outer, classes, inner, outer_stride, class_stride, inner_stride;
  }

  @FieldOrder({"struct_size", "reduction", "smoothing", "empty_mean", "masked_row", "divergence", "num_threads",
      "ignore_index", "label_smoothing", "temperature", "softcap", "focal_gamma", "poly_epsilon", "z_loss", "weight",
      "pos_weight", "row_mask", "class_mask", "target_probs", "grad_loss", "gather", "accuracy", "reserved"})
  final class Options extends Structure {
    public long struct_size = size();
    public int reduction = 1, smoothing, empty_mean, masked_row, divergence, num_threads;
    public long ignore_index = -100;
    public double label_smoothing, temperature = 1, softcap, focal_gamma, poly_epsilon, z_loss;
    public Pointer weight, pos_weight, row_mask, class_mask, target_probs, grad_loss, gather;
    public int accuracy, reserved;
  }

  @FieldOrder({"struct_size", "loss", "row_loss", "grad_logits", "probs", "log_probs", "lse", "entropy", "max_logit",
      "target_log_prob", "z_loss", "argmax", "target_rank", "top_indices", "top_log_probs", "gathered", "correct",
      "rows_counted", "loss_sum", "weight_sum"})
  final class Outputs extends Structure {
    public long struct_size = size();
    public Pointer loss, row_loss, grad_logits, probs, log_probs, lse, entropy, max_logit, target_log_prob, z_loss, argmax,
        target_rank, top_indices, top_log_probs, gathered, correct, rows_counted, loss_sum, weight_sum;
  }

  @FieldOrder({"struct_size", "status", "reserved", "row", "value", "message"})
  final class Failure extends Structure {
    public long struct_size;
    public int status, reserved;
    public long row, value;
    public byte[] message = new byte[256];

    Failure() {
      struct_size = size(); // which wants the array to be there
    }

    XentException exception() {
      int length = 0;
      while (length < message.length && message[length] != 0) {
        length++;
      }
      return new XentException(status, row, value, new String(message, 0, length, StandardCharsets.UTF_8));
    }
  }

  int xent_softmax(Tensor logits, Options options, Outputs outputs, Failure error);

  int xent_cross_entropy(Tensor logits, Tensor targets, Options options, Outputs outputs, Failure error);

  int xent_nll(Tensor logProbs, Tensor targets, Options options, Outputs outputs, Failure error);

  int xent_binary_cross_entropy(Tensor logits, Tensor targets, Options options, Outputs outputs, Failure error);

  int xent_divergence(Tensor student, Tensor teacher, Options options, Outputs outputs, Failure error);

  int xent_softmax_grad(Tensor probs, Tensor gradProbs, Tensor gradLogits, Failure error);

  int xent_log_softmax_grad(Tensor logProbs, Tensor gradLogProbs, Tensor gradLogits, Failure error);

  int xent_version();

  String xent_cpu_level();

  int xent_set_num_threads(int number);

  int xent_get_num_threads();

  String xent_last_error();
}
