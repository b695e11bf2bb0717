# SPDX-License-Identifier: Apache-2.0
# Rscript tests.R vectors.R: the package's tests; vectors.R is Tests/Golden/vectors.json as ./test writes it.
library(xent)

passed <- failed <- 0L
check <- function(name, right) {
  if (isTRUE(right)) {
    passed <<- passed + 1L
  } else {
    failed <<- failed + 1L
    cat("not ok -", name, "\n")
  }
}
condition <- function(class, expression) tryCatch({ expression; NULL }, error = function(e) if (inherits(e, class)) e)

# Within so many ulps, or both NaN, or the same infinity.
near <- function(got, wanted, ulps) {
  ulp <- ifelse(is.finite(wanted) & wanted != 0, pmax(2^(floor(log2(abs(wanted))) - 52), 2^-1074), 2^-1074)
  length(got) == length(wanted) && all(ifelse(is.nan(wanted) | is.nan(got), is.nan(wanted) & is.nan(got),
    ifelse(is.finite(wanted) & is.finite(got), abs(got - wanted) <= ulps * ulp, got == wanted)))
}

RUN <- list(
  cross_entropy = cross_entropy, nll = nll_loss, binary_cross_entropy = binary_cross_entropy, divergence = divergence
)

run_vector <- function(v) {
  given <- c(v$options, v$inputs[intersect(names(v$inputs), c("weight", "pos_weight", "grad_loss", "class_mask", "row_mask"))])
  first <- v$inputs[[1]]
  target <- v$inputs[["targets"]]
  if (v$fun %in% c("cross_entropy", "nll") && is.null(v$inputs$probabilities)) {
    target <- target + 1
    if (is.null(given$ignore_index)) given$ignore_index <- -100L
  } else if (is.null(target) && length(v$inputs) > 1) {
    target <- v$inputs[[2]]
  }
  call <- function(...) do.call(RUN[[v$fun]], c(list(first, target), given, list(...)))
  if (!is.null(v$error)) {
    e <- condition(v$error$class, call())
    check(v$title, !is.null(e) && startsWith(conditionMessage(e), v$error$message) &&
      identical(is.na(e$row), v$error$row < 0) && (is.na(e$row) || e$row == v$error$row + 1) &&
      e$value == v$error$value + inherits(e, "xent_target"))
    return()
  }
  of_rows <- identical(given$reduction, "none")
  wanted <- names(v$outputs)
  found <- if (v$fun == "softmax") {
    do.call(xent_outputs, c(list(first, NULL, wanted), given))
  } else if (v$fun == "softmax_grad") {
    list(grad_logits = softmax_grad(first, v$inputs[[2]]))
  } else if (v$fun == "log_softmax_grad") {
    list(grad_logits = log_softmax_grad(first, v$inputs[[2]]))
  } else if (v$fun == "cross_entropy") {
    names <- if (of_rows) sub("^loss$", "row_loss", wanted) else wanted
    setNames(do.call(xent_outputs, c(list(first, target, names), given)), wanted)
  } else {
    setNames(call(gradient = TRUE), c("loss", "grad_logits"))
  }
  for (name in wanted) {
    got <- found[[name]]
    if (is.matrix(got)) got <- as.vector(t(got))
    if (name %in% c("argmax", "target_rank")) got <- ifelse(is.na(got), -1, got - 1)
    check(paste(v$title, name), near(got, v$outputs[[name]]$values, v$outputs[[name]]$max_ulp))
  }
}

source(commandArgs(trailingOnly = TRUE)[1]) # makes VECTORS
for (v in VECTORS) run_vector(v)

x <- rbind(c(1, 2, 7), c(4, 7, 9), c(8, 3, 4))
loss <- cross_entropy(x, c(3, 3, 1))
check("a factor", identical(cross_entropy(x, factor(c("c", "c", "a"), c("a", "b", "c"))), loss))
check("a row", identical(softmax(x[2, ]), softmax(x)[2, , drop = FALSE]))
check("an integer matrix", identical(softmax(matrix(1:6, 2)), softmax(matrix(as.double(1:6), 2))))
check("NA does not count", identical(cross_entropy(x, c(3, NA, 1)), cross_entropy(x[-2, ], c(3, 1))))
check("no row counts", is.nan(cross_entropy(x, rep(NA, 3))))
check("...or is 0", cross_entropy(x, rep(NA, 3), empty_mean = "zero") == 0)
check("a tiny loss", abs(cross_entropy(c(70, 0), 1) / 3.975449735908647e-31 - 1) < 1e-15)
check("probabilities", near(cross_entropy(x, diag(3)[c(3, 3, 1), ]), loss, 4))
e <- condition("xent_target", cross_entropy(x, c(3, 8, 1)))
check("a bad target", identical(e$row, 2) && e$value == 8 && inherits(e, "xent_error"))
check("option", !is.null(condition("xent_option", cross_entropy(x, c(3, 3, 1), label_smoothing = 2))))
check("unsupported", !is.null(condition("xent_unsupported", cross_entropy(x, c(3, 3, 1), label_smoothing = .1, focal_gamma = 1))))
for (bad in list(quote(softmax("a")), quote(cross_entropy(x, 1)), quote(cross_entropy(x, c(1.5, 1, 1))), quote(softmax(x, 5)),
  quote(softmax(x, temprature = 2)), quote(cross_entropy(x, 1:3, weight = 1:2)), quote(cross_entropy(x, 1:3, reduction = "avg")),
  quote(xent_outputs(x, NULL, "prob")), quote(cross_entropy(x, c("a", "b", "c"))), quote(xent_threads(-1)))) {
  check(paste("refused:", deparse(bad)), !is.null(condition("simpleError", eval(bad))))
}
check("threads", xent_threads(2) == 2 && xent_threads() == 2)
invisible(xent_threads(0))
check("version", xent_version() %/% 10000 == 1 && xent_cpu_level() %in% c("baseline", "v3", "v4"))
cat(passed, "passed,", failed, "failed\n")
quit(status = as.integer(failed > 0))
