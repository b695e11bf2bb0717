# SPDX-License-Identifier: Apache-2.0
# Matrices of logits: a row for each sample, a column for each class. Nothing here computes; ?xent documents it.

STATUSES <- c("null", "size", "target", "option", "overlap", "no_memory", "dtype", "unsupported")
WORDS <- list(
  reduction = c(none = 0L, mean = 1L, sum = 2L, mean_rows = 3L),
  smoothing = c(weighted = 0L, uniform = 1L),
  empty_mean = c(nan = 0L, zero = 1L),
  masked_row = c(nan = 0L, zero = 1L),
  divergence = c(kl = 0L, reverse_kl = 1L, soft_cross_entropy = 2L, jensen_shannon = 3L)
)
REALS <- c("weight", "pos_weight", "grad_loss")

# A vector is one row.
as_logits <- function(x) {
  if (!is.numeric(x)) stop("logits are not numeric")
  if (!is.matrix(x)) x <- matrix(x, nrow = 1L)
  storage.mode(x) <- "double"
  x
}

# Classes, counted from 1 as a factor's, become those of C; NA is a row that does not count. A matrix is probabilities.
as_targets <- function(target) {
  if (is.matrix(target)) {
    storage.mode(target) <- "double"
    return(target)
  }
  if (!is.factor(target) && !is.numeric(target) && !all(is.na(target))) stop("targets are not classes")
  classes <- as.integer(target)
  if (anyNA(classes[!is.na(target)]) || (!is.factor(target) && any(classes != target, na.rm = TRUE))) {
    stop("targets are not whole numbers")
  }
  classes - 1L
}

as_options <- function(options) {
  if (length(options) && (is.null(names(options)) || any(names(options) == ""))) stop("an option has no name")
  options <- options[!vapply(options, is.null, NA)]
  for (name in intersect(names(options), names(WORDS))) {
    options[[name]] <- WORDS[[name]][[match.arg(options[[name]], names(WORDS[[name]]))]]
  }
  for (name in intersect(names(options), REALS)) options[[name]] <- as.double(options[[name]])
  options
}

call_xent <- function(fun, logits, target, options, outputs) {
  found <- .Call(C_call, fun, logits, target, as_options(options), outputs)
  if (is.null(found$status)) return(found)
  # Rows and classes are counted from 0 in the library's sentence, and from 1 here.
  is_target <- found$status == 3L
  stop(structure(class = c(paste0("xent_", STATUSES[found$status]), "xent_error", "error", "condition"), list(
    message = if (is_target) paste(found$message, "(counted from 0)") else found$message,
    call = sys.call(-1), status = found$status, row = if (found$row < 0) NA else found$row + 1,
    value = found$value + is_target
  )))
}

loss <- function(fun, first, target, gradient, options) {
  output <- if (identical(options$reduction, "none")) "row_loss" else "loss"
  found <- call_xent(fun, as_logits(first), target, options, c(output, if (gradient) "grad_logits"))
  if (gradient) list(loss = found[[1]], gradient = found$grad_logits) else found[[1]]
}

softmax <- function(x, ...) call_xent("softmax", as_logits(x), NULL, list(...), "probs")$probs
log_softmax <- function(x, ...) call_xent("softmax", as_logits(x), NULL, list(...), "log_probs")$log_probs
logsumexp <- function(x, ...) call_xent("softmax", as_logits(x), NULL, list(...), "lse")$lse

cross_entropy <- function(x, target, ..., gradient = FALSE) {
  loss("cross_entropy", x, as_targets(target), gradient, list(ignore_index = NA_integer_, ...))
}

nll_loss <- function(log_probs, target, ..., gradient = FALSE) {
  loss("nll", log_probs, as_targets(target), gradient, list(ignore_index = NA_integer_, ...))
}

binary_cross_entropy <- function(x, labels, ..., gradient = FALSE) {
  loss("binary_cross_entropy", x, as_logits(labels), gradient, list(...))
}

divergence <- function(student, teacher, ..., gradient = FALSE) {
  loss("divergence", student, as_logits(teacher), gradient, list(...))
}

softmax_grad <- function(probs, grad_probs) {
  call_xent("softmax_grad", as_logits(probs), as_logits(grad_probs), list(), "grad_logits")$grad_logits
}

log_softmax_grad <- function(log_probs, grad_log_probs) {
  call_xent("log_softmax_grad", as_logits(log_probs), as_logits(grad_log_probs), list(), "grad_logits")$grad_logits
}

xent_outputs <- function(x, target = NULL, outputs, ...) {
  found <- if (is.null(target)) {
    call_xent("softmax", as_logits(x), NULL, list(...), outputs)
  } else {
    call_xent("cross_entropy", as_logits(x), as_targets(target), list(ignore_index = NA_integer_, ...), outputs)
  }
  for (name in intersect(outputs, c("argmax", "target_rank"))) {
    found[[name]] <- ifelse(found[[name]] < 0L, NA_integer_, found[[name]] + 1L)
  }
  found
}

xent_version <- function() .Call(C_version)
xent_cpu_level <- function() .Call(C_cpu_level)
xent_threads <- function(number = NULL) .Call(C_threads, number)
