import CXent
import CXentSystem
import XentCore
import XentRuntime

@implementation @_cdecl("xent_version")
public func xent_version() -> Int32 {
  // The header's own sum; a macro of macros is not imported.
  Int32(XENT_VERSION_MAJOR) * 10000 + Int32(XENT_VERSION_MINOR) * 100 + Int32(XENT_VERSION_PATCH)
}

@implementation @_cdecl("xent_cpu_level")
public func xent_cpu_level() -> UnsafePointer<CChar> { CPULevel.current.name.cString }

@implementation @_cdecl("xent_last_error")
public func xent_last_error() -> UnsafePointer<CChar> { Detail.last }

@implementation @_cdecl("xent_status_string")
public func xent_status_string(_ status: xent_status) -> UnsafePointer<CChar> {
  let text: StaticString =
    switch Int(status) {
    case XENT_OK: "the call succeeded"
    case XENT_ERR_NULL: "a pointer that is needed is NULL"
    case XENT_ERR_SIZE: "a size is negative or too large"
    case XENT_ERR_TARGET: "a target is outside the classes and is not ignore_index"
    case XENT_ERR_OPTION: "an option has a value that does not exist or is out of range"
    case XENT_ERR_OVERLAP: "an output overlaps another array"
    case XENT_ERR_NO_MEMORY: "memory or threads could not be had"
    case XENT_ERR_DTYPE: "a tensor's dtype does not exist, or is not one that the argument can have"
    case XENT_ERR_UNSUPPORTED: "two things do not go together, or a struct is of a newer version"
    default: "unknown status"
    }
  return text.cString
}

@implementation @_cdecl("xent_set_num_threads")
public func xent_set_num_threads(_ num_threads: Int32) -> xent_status {
  status { () throws(Failure) in
    let function = ("xent_set_num_threads" as StaticString).cString
    let number = Int64(num_threads)
    guard number >= 0, number <= Threads.limit else {
      throw Failure(XENT_ERR_OPTION, in: function) { text in
        text.add("num_threads", number, ", not in [0, ")
        text.add(Threads.limit)
        text.add("]")
      }
    }
    guard Threads.set(number) else {
      throw Failure(XENT_ERR_NO_MEMORY, in: function) { text in
        text.add("out of memory for ")
        text.add(number)
        text.add(" threads")
      }
    }
  }
}

@implementation @_cdecl("xent_get_num_threads")
public func xent_get_num_threads() -> Int32 { Int32(Threads.current) }
