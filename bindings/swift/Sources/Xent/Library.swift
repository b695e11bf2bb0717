// SPDX-License-Identifier: Apache-2.0
import CXent

/// major * 10000 + minor * 100 + patch of the loaded library.
public var libraryVersion: Int { Int(xent_version()) }

/// The instruction set the kernels use: `baseline`, `v3` or `v4`. Results do not depend on it.
public var cpuLevel: String { String(cString: xent_cpu_level()) }

/// How many threads a call may use now.
public var numberOfThreads: Int { Int(xent_get_num_threads()) }

/// How many threads a call may use, for the whole process; 0 is automatic.
public func setNumberOfThreads(_ number: Int) throws(XentError) {
  let status = xent_set_num_threads(Int32(clamping: number))
  guard status == XENT_OK else {
    throw XentError(kind: .init(status), message: String(cString: xent_last_error()), row: nil, value: 0)
  }
}
