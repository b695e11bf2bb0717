// SPDX-License-Identifier: Apache-2.0
package dev.xent;

import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;

/** The native memory of one call: kept until the call is over, and copied back where it was written. */
final class Session {
  private record Place(Array array, Pointer memory) {}

  private final List<Object> kept = new ArrayList<>();
  private final List<Place> written = new ArrayList<>();
  /** The tensor of GRAD_LOGITS, which the backward functions take by itself. */
  Native.Tensor gradient;

  Native.Tensor input(String name, Array array, Shape shape) {
    Native.Tensor tensor = array.tensor(name, shape, array.copyIn());
    kept.add(tensor);
    return tensor;
  }

  /** Null for none. */
  Pointer option(String name, Array array, Shape shape) {
    return array == null ? null : input(name, array, shape).getPointer();
  }

  Pointer output(String name, Array array, Shape shape, boolean isBare) {
    Pointer memory = array.place();
    Native.Tensor tensor = array.tensor(name, shape, memory);
    kept.add(tensor);
    written.add(new Place(array, memory));
    if (name.equals("grad_logits")) {
      gradient = tensor;
    }
    return isBare ? memory : tensor.getPointer();
  }

  void copyOut() {
    for (Place place : written) {
      place.array.copyOut(place.memory);
    }
    java.lang.ref.Reference.reachabilityFence(kept);
  }
}
