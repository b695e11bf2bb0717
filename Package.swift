// swift-tools-version: 6.2
import PackageDescription

// XENT_RUNTIME=embedded|static|dynamic: which Swift runtime a release build carries. Embedded (the default) needs none;
// the other two are the fallback, and `swift test -c release` works with dynamic only.
let runtime = Context.environment["XENT_RUNTIME"] ?? "embedded"
let root = Context.packageDirectory
let release: BuildSettingCondition = .when(configuration: .release)

// The CPU levels: one kernel source, compiled once per row. `march` holds in release only: a debug build emits the
// standard library's helpers as shared symbols, which must not be compiled for more than the baseline. The x86-64
// baseline, for processors from before 2013, is compiled for size.
struct Level {
  var suffix = ""
  var defines: [String] = []
  var flags: [String] = []
}
#if arch(x86_64)
  let levels = [
    Level(flags: ["-Osize", "-Xcc", "-march=x86-64"]),
    Level(suffix: "V3", defines: ["XENT_V3", "XENT_FMA"], flags: ["-Xcc", "-march=x86-64-v3"]),
    Level(suffix: "V4", defines: ["XENT_V4", "XENT_FMA"], flags: ["-Xcc", "-march=x86-64-v4"]),
  ]
#else
  let levels = [Level(defines: ["XENT_FMA"])]
#endif

// Marks where an indirect branch may land, for processors that look (CET, BTI): the flag reaches Swift's code as it does
// C's. The library says that it is fit for shadow stacks; not that it is for checked branches, since the C library's own
// start-up objects, which are linked in, are not everywhere.
#if arch(x86_64)
  let hardening = ["-Xcc", "-fcf-protection=full"]
  let marks = ["-Xlinker", "-z", "-Xlinker", "shstk"]
#else
  let hardening = ["-Xcc", "-mbranch-protection=standard"]
  let marks: [String] = []
#endif

// Nothing unwinds through the library: no unwind tables for the C functions of its headers, and with them for everything.
let flags = ["-wmo", "-Xfrontend", "-function-sections", "-Xcc", "-fno-asynchronous-unwind-tables"]
  + hardening
  // The same bytes wherever the checkout is: no path of it is in them, nor in what build IDs are made of, and no hash of
  // the compiler's arguments.
  + ["-Xfrontend", "-disable-incremental-llvm-codegen"]
  + ["-file-prefix-map", "\(root)=.", "-Xcc", "-ffile-prefix-map=\(root)=."]
var settings: [SwiftSetting] = [.unsafeFlags(flags, release)]
var linking = [
  "-use-ld=lld",
  "-Xlinker", "-soname=libxent.so.1",
  "-Xlinker", "--version-script=\(root)/Include/xent.map",
  "-Xlinker", "--gc-sections", "-Xlinker", "--icf=all",
  "-Xlinker", "-z", "-Xlinker", "now",
  "-Xlinker", "-z", "-Xlinker", "nodelete",  // a worker thread may be running this code at dlclose
]
if Context.environment["XENT_SANITIZE"] == nil {
  linking += marks
  linking += ["-Xlinker", "--strip-debug"]  // it names the module cache, whose folder is a hash of where it is
  linking += ["-Xlinker", "-z", "-Xlinker", "defs"]  // the sanitizer's own symbols come from the host program
}
switch runtime {
case "embedded":
  settings.append(.enableExperimentalFeature("Embedded", release))
  linking += ["-enable-experimental-feature", "Embedded", "-no-toolchain-stdlib-rpath"]
case "static":
  linking += ["-static-stdlib", "-no-toolchain-stdlib-rpath"]
case "dynamic":
  break  // keeps the toolchain's path, where the runtime is
default:
  fatalError("XENT_RUNTIME is \(runtime), not embedded, static or dynamic")
}

// All but the kernels runs once a call.
let small: [SwiftSetting] = settings + [.unsafeFlags(["-Osize"], release)]
let kernels = levels.map { level in
  Target.target(
    name: "XentKernels\(level.suffix)", dependencies: ["CXent", "CXentSystem"], exclude: ["NUMERICS.md"],
    swiftSettings: settings + level.defines.map { .define($0) } + [.unsafeFlags(level.flags, release)])
}

let package = Package(
  name: "xent",
  products: [.library(name: "xent", type: .dynamic, targets: ["Xent"])],
  targets: kernels + [
    .systemLibrary(name: "CXent", path: "Include"),
    .systemLibrary(name: "CXentSystem"),
    .target(name: "XentCore", dependencies: ["CXent", "CXentSystem"], swiftSettings: small),
    .target(
      name: "XentRuntime",
      dependencies: ["CXentSystem", "XentCore"] + kernels.map { .init(stringLiteral: $0.name) },
      swiftSettings: small),
    .target(
      name: "Xent", dependencies: ["CXent", "CXentSystem", "XentCore", "XentRuntime"],
      swiftSettings: small, linkerSettings: [.linkedLibrary("m"), .unsafeFlags(linking, release)]),
    .testTarget(
      name: "XentTests",
      dependencies: ["CXent", "CXentSystem", "Xent", "XentCore", "XentRuntime", "XentKernels"]),
  ]
)
