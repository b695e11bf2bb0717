// SPDX-License-Identifier: Apache-2.0
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** As much JSON as vectors.json needs: maps, lists and strings, numbers as their text, so that none is rounded. */
final class Json {
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  static Map<?, ?> read(String text) {
    return (Map<?, ?>) new Json(text).value();
  }

  private char next() {
    while (Character.isWhitespace(text.charAt(at))) {
      at++;
    }
    return text.charAt(at);
  }

  private void skip(char mark) {
    if (next() != mark) {
      throw new IllegalStateException(mark + " expected at " + at);
    }
    at++;
  }

  private Object value() {
    return switch (next()) {
      case '{' -> map();
      case '[' -> list();
      case '"' -> string();
      default -> {
        int start = at;
        while (",]} \n".indexOf(text.charAt(at)) < 0) {
          at++;
        }
        yield text.substring(start, at);
      }
    };
  }

  private Map<String, Object> map() {
    Map<String, Object> found = new LinkedHashMap<>();
    skip('{');
    while (next() != '}') {
      String key = string();
      skip(':');
      found.put(key, value());
      if (next() == ',') {
        skip(',');
      }
    }
    skip('}');
    return found;
  }

  private List<Object> list() {
    List<Object> found = new ArrayList<>();
    skip('[');
    while (next() != ']') {
      found.add(value());
      if (next() == ',') {
        skip(',');
      }
    }
    skip(']');
    return found;
  }

  /** Without escapes. */
  private String string() {
    skip('"');
    int end = text.indexOf('"', at);
    String found = text.substring(at, end);
    at = end + 1;
    return found;
  }
}
