// SPDX-License-Identifier: Apache-2.0
/**
 * Softmax cross-entropy over typed arrays, from libxent. Logits are a Float32Array, a Float64Array, or a Uint16Array of bits
 * with the option dtype 'f16' or 'bf16'. Losses and statistics are Float64Array for Float64Array, otherwise Float32Array.
 * Logarithms are natural. xent.h is the reference for what every option and output is.
 */

/** [rows, classes], or [outer, classes, inner] for a class axis in the middle; contiguous. */
export type Shape = [rows: number, classes: number] | [outer: number, classes: number, inner: number]
export type Logits = Float32Array | Float64Array | Uint16Array
export type Reals = Float32Array | Float64Array
/** Plain arrays become BigInt64Array; typed arrays are passed as they are. */
export type Integers = number[] | bigint[] | Int8Array | Int16Array | Int32Array | BigInt64Array | Uint8Array
  | Uint8ClampedArray | Uint16Array | Uint32Array | BigUint64Array
/** A class a row; a probability for each class; or perRow classes a row with their probabilities. */
export type Targets<L extends Logits> = Integers | { probabilities: L }
  | { indices: Integers, probabilities: L, perRow: number }

export interface Options {
  /** Which 16-bit format a Uint16Array has. */
  dtype?: 'f16' | 'bf16'
  /** Default 'mean'; with 'none' losses are one a row, and the gradient is that of the sum. */
  reduction?: 'none' | 'mean' | 'sum' | 'mean_rows'
  /** Rows with this target do not count. Default -100; any integer. */
  ignoreIndex?: number | bigint
  /** In [0, 1]. */
  labelSmoothing?: number
  smoothing?: 'weighted' | 'uniform'
  /** Logits are divided by it; > 0. */
  temperature?: number
  /** Logits x become softcap * tanh(x / softcap) first; 0 is none. */
  softcap?: number
  focalGamma?: number
  polyEpsilon?: number
  /** zLoss * lse^2 is added to each row's loss. */
  zLoss?: number
  emptyMean?: 'nan' | 'zero'
  maskedRow?: 'nan' | 'zero'
  /** 'fastest': probabilities and gradients of a Float32Array within 3 ulp instead of 1, for less time. */
  accuracy?: 'faithful' | 'fastest'
  divergence?: 'kl' | 'reverse_kl' | 'soft_cross_entropy' | 'jensen_shannon'
  /** The most threads this call may use; 0 as setNumThreads says. */
  numThreads?: number
  /** One a class. */
  weight?: Reals | number[]
  /** Binary loss: of positive labels, one a class or of the logits' shape. */
  posWeight?: Reals | number[]
  /** The upstream gradient: one, or one a row. */
  gradLoss?: Reals | number[]
  /** Rows where it is 0 do not count. */
  rowMask?: Integers
  /** Classes where it is 0 have probability 0. */
  classMask?: Integers
  /** Which classes' log-probabilities `gathered` is to have, (outer, k, inner). */
  gather?: Integers
  /** How many classes `topIndices` and `topLogProbs` are to have. */
  top?: number
  /** Where the result of the logits' shape is written; may be the logits. */
  out?: Logits
}

export interface Outputs<L extends Logits> {
  loss: number
  rowLoss: Reals
  gradLogits: L
  probs: L
  logProbs: L
  lse: Reals
  entropy: Reals
  maxLogit: Reals
  targetLogProb: Reals
  zLoss: Reals
  argmax: Int32Array
  /** How many classes come before the target: 0 is top-1; -1 where the row does not count. */
  targetRank: Int32Array
  topIndices: Int32Array
  topLogProbs: Reals
  gathered: Reals
  correct: number
  rowsCounted: number
  lossSum: number
  weightSum: number
}

/** Why a call was refused: nothing has been written. Arguments of a wrong type are a TypeError. */
export class XentError extends Error {
  /** 'XENT_ERR_TARGET', ... */
  code: string
  status: number
  /** The row that is wrong, if it is a matter of one row. */
  row: number | null
  /** The value that is wrong, where it is an integer; a bigint beyond 2^53. */
  value: number | bigint
}

/** A number, or with reduction 'none' one a row (binary loss: one an element). */
export type Loss = number | Reals

export function softmax<L extends Logits> (logits: L, shape: Shape, options?: Options): L
export function logSoftmax<L extends Logits> (logits: L, shape: Shape, options?: Options): L
export function logSumExp (logits: Logits, shape: Shape, options?: Options): Reals
/** Any outputs about logits alone, from one pass. */
export function softmaxOutputs<L extends Logits, K extends keyof Outputs<L>> (
  logits: L, shape: Shape, names: K[], options?: Options): Pick<Outputs<L>, K>
export function logSumExpGrad<L extends Logits> (logits: L, gradLse: Reals, shape: Shape, options?: Options): L
export function softmaxGrad<L extends Logits> (probs: L, gradProbs: L, shape: Shape, options?: Options): L
export function logSoftmaxGrad<L extends Logits> (logProbs: L, gradLogProbs: L, shape: Shape, options?: Options): L

export function crossEntropy<L extends Logits> (
  logits: L, shape: Shape, targets: Targets<L>, options?: Options): Loss
export function crossEntropyWithGrad<L extends Logits> (
  logits: L, shape: Shape, targets: Targets<L>, options?: Options): { loss: Loss, grad: L }
/** Any outputs about logits and targets, from one pass. */
export function crossEntropyOutputs<L extends Logits, K extends keyof Outputs<L>> (
  logits: L, shape: Shape, targets: Targets<L>, names: K[], options?: Options): Pick<Outputs<L>, K>
export function nllLoss<L extends Logits> (logProbs: L, shape: Shape, targets: Targets<L>, options?: Options): Loss
export function nllLossWithGrad<L extends Logits> (
  logProbs: L, shape: Shape, targets: Targets<L>, options?: Options): { loss: Loss, grad: L }
export function binaryCrossEntropyWithLogits<L extends Logits> (
  logits: L, shape: Shape, targets: L, options?: Options): Loss
export function binaryCrossEntropyWithLogitsWithGrad<L extends Logits> (
  logits: L, shape: Shape, targets: L, options?: Options): { loss: Loss, grad: L }
/** Of a student's distribution from a teacher's, both given as logits; the gradient is the student's. */
export function divergence<L extends Logits> (student: L, shape: Shape, teacher: L, options?: Options): Loss
export function divergenceWithGrad<L extends Logits> (
  student: L, shape: Shape, teacher: L, options?: Options): { loss: Loss, grad: L }

/** major * 10000 + minor * 100 + patch of the loaded library. */
export const version: number
/** 'baseline', 'v3' or 'v4'. Results do not depend on it. */
export const cpuLevel: string
export function getNumThreads (): number
/** For the whole process; 0 is automatic. */
export function setNumThreads (number: number): void
