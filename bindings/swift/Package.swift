// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// libxent is found by pkg-config where it is installed (`make install`). In a checkout, or where the loader does not look,
// XENT_LIB_DIR=<folder of libxent.so> links with that one and has programs find it there.
let linking: [LinkerSetting] =
  Context.environment["XENT_LIB_DIR"].map { folder in
    [.unsafeFlags(["-L\(folder)", "-Xlinker", "-rpath", "-Xlinker", folder])]
  } ?? []

let package = Package(
  name: "xent-swift",
  products: [.library(name: "Xent", targets: ["Xent"])],
  targets: [
    .systemLibrary(name: "CXent", pkgConfig: "xent"),
    .target(name: "Xent", dependencies: ["CXent"], linkerSettings: linking),
    .executableTarget(name: "worked", dependencies: ["Xent"]),
    .testTarget(name: "XentTests", dependencies: ["Xent", "CXent"]),
  ]
)
