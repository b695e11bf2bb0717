# Builds against an installed libxent (pkg-config), or with XENT_PREFIX against another prefix.
{
  "targets": [{
    "target_name": "xent",
    "sources": ["addon.c"],
    "conditions": [["\"<!(echo $XENT_PREFIX)\" != \"\"", {
      "include_dirs": ["<!(echo $XENT_PREFIX)/include"],
      "libraries": ["-L<!(echo $XENT_PREFIX)/lib", "-Wl,-rpath,<!(echo $XENT_PREFIX)/lib", "-lxent"]
    }, {
      "include_dirs": ["<!@(pkg-config --variable=includedir xent)"],
      "libraries": ["<!@(pkg-config --libs xent)"]
    }]]
  }]
}
