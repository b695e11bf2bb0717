# make          builds build/lib/libxent.so and build/lib/libxent.a
# make run      the worked example five ways from C and Python, then a classifier trained on real digits
# make test     every test, with its own set-up; the last line is the count
# make check    the audits alone: exported symbols, instruction sets, header, the first release's interface
# make exhaustive  the f32 exponential over all its inputs
# make fuzz     the fuzzers of the C ABI and of the numerics; SECONDS=60 for each
# make check-faults  1,000 forks in each situation, 1,000 times loaded
# make soak     everything that may happen to the library, at random; MINUTES=20
# make sanitize  the C tests under AddressSanitizer, ThreadSanitizer, valgrind and helgrind
# make reproducible  two more builds in other folders, and whether they have the same bytes
# make accuracy  the errors in ulps of Xent, PyTorch, JAX and SciPy
# make bench    every operation beside its peers, with a roofline of the same run; QUICK=1 for two minutes of it
# make wheel    build/wheel/: the Python package as a wheel and an sdist, checked by auditwheel and twine
# make install  PREFIX=/usr/local, DESTDIR=; libraries, headers, pkg-config and CMake files, xent(3)
# make dist     build/dist/xent-<version>-linux-<machine>.tar.gz, a tree that works wherever it is unpacked
# make deb      build/deb/libxent1_….deb and libxent-dev_….deb
# make docs     build/docs/html, the documentation site; checks its links and that nothing is missing
#
# XENT_RUNTIME=embedded|static|dynamic  the Swift runtime in the library: none (the default), inside it, or beside it

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=
SWIFT ?= swift
PYTHON ?= python3
OBJCOPY ?= objcopy
STRIP ?= strip
PIP_FLAGS := --quiet --disable-pip-version-check
export XENT_RUNTIME ?= embedded

version_part = $(shell sed -n 's/^.define XENT_VERSION_$(1) \([0-9]*\)$$/\1/p' Include/xent.h)
MAJOR := $(call version_part,MAJOR)
VERSION := $(MAJOR).$(call version_part,MINOR).$(call version_part,PATCH)

SCRATCH := .build/$(XENT_RUNTIME)
BIN := $(SCRATCH)/release
SOURCES := Package.swift $(wildcard Include/*) $(wildcard Sources/*/*)
# Without the roots named, the archive would keep each level's unused copies of the Swift runtime's functions.
EXPORTS = $(shell sed -n 's/^ *\(xent_[a-z0-9_]*\);.*/-u \1/p' Include/xent.map)
LIBRARIES := build/lib/libxent.so build/lib/libxent.a

all: $(LIBRARIES)

$(LIBRARIES) &: $(SOURCES) build/runtime build/headers
	rm -f $(BIN)/libxent.so  # SwiftPM does not see a change of the version script
	$(SWIFT) build -c release --scratch-path $(SCRATCH) --disable-local-rpath --product xent
	mkdir -p build/lib
	$(STRIP) --strip-unneeded -o build/lib/libxent.so $(BIN)/libxent.so
	ln -sf libxent.so build/lib/libxent.so.$(MAJOR)
	ld -r --gc-sections $(EXPORTS) -o $(BIN)/xent_all.o $(BIN)/Xent*.build/*.o
	# The seed of Swift's hashing: nothing uses it, and ld -r leaves the name behind.
	$(OBJCOPY) --wildcard --keep-global-symbol='xent_*' --strip-debug --strip-unneeded-symbol=arc4random_buf \
	  $(BIN)/xent_all.o $(BIN)/xent.o
	rm -f build/lib/libxent.a
	ar rcs build/lib/libxent.a $(BIN)/xent.o

# SwiftPM does not see a change of a system library's headers either, in no kind of build.
build/headers: $(wildcard Include/* Sources/CXentSystem/*)
	@mkdir -p build
	rm -rf .build
	@touch $@

# Changes only when XENT_RUNTIME does, so that the library is rebuilt then.
build/runtime: FORCE
	@mkdir -p build
	@echo '$(XENT_RUNTIME)' | cmp -s - $@ || echo '$(XENT_RUNTIME)' > $@

build/run/five_ways: bindings/c/five_ways.c $(LIBRARIES)
	mkdir -p build/run
	$(CC) -std=c99 -O2 -Wall -Wextra -IInclude $< build/lib/libxent.a -lm -pthread -o $@

build/run/venv: bindings/python/examples/requirements.txt
	$(PYTHON) -m venv $@
	$@/bin/pip install $(PIP_FLAGS) -r $<
	touch $@

RUN_PYTHON := PYTHONPATH=bindings/python/src build/run/venv/bin/python
run: build/run/five_ways build/run/venv
	build/run/five_ways > build/run/five_ways.txt
	$(RUN_PYTHON) bindings/python/examples/five_ways.py --beside build/run/five_ways.txt
	$(RUN_PYTHON) bindings/python/examples/digits.py

test: all
	Tests/run

check: all
	Tests/run audits baseline

# The f32 exponential over every input, about two minutes. With the regular runtime: `swift test` cannot run Embedded.
exhaustive:
	XENT_EXHAUSTIVE=1 XENT_RUNTIME=dynamic $(SWIFT) test -c release --scratch-path .build/exhaustive \
	  -Xswiftc -enable-testing --filter TermTests

fuzz:
	Tests/Fuzz/run $(or $(SECONDS),60)

soak: all
	$(PYTHON) Tests/soak $(or $(MINUTES),20)

sanitize: all
	Tests/sanitize

reproducible:
	Tests/Audit/reproducible.sh

# 1,000 forks in each situation and 1,000 times loaded, of which `make test` has 50 and 20.
check-faults: all
	Tests/run faults

# The table of the README: about four minutes, and 700 MB to fetch.
accuracy: all
	$(PYTHON) -m venv build/accuracy
	build/accuracy/bin/pip install $(PIP_FLAGS) -r Tests/Accuracy/requirements.txt
	build/accuracy/bin/pip install $(PIP_FLAGS) -r bindings/python/tests/requirements.txt
	build/accuracy/bin/python Tests/Accuracy/run --against torch,jax,scipy

build/bench/venv: Tests/Bench/requirements.txt Tests/Bench/requirements-optional.txt
	$(PYTHON) -m venv $@
	$@/bin/pip install $(PIP_FLAGS) --retries 1 -r Tests/Bench/requirements.txt
	-$@/bin/pip install $(PIP_FLAGS) --retries 1 -r Tests/Bench/requirements-optional.txt
	touch $@

# Figures and charts go to build/bench. An hour and more; the first time minutes of fetching as well.
bench: all build/bench/venv
	build/bench/venv/bin/python Tests/Bench/run $(if $(QUICK),--quick)

build/wheel/venv:
	$(PYTHON) -m venv $@ && $@/bin/pip install $(PIP_FLAGS) auditwheel build twine || { rm -rf $@; exit 1; }

# The sdist first, and the wheel from it.
wheel: build/wheel/venv
	rm -f build/wheel/xent-*
	build/wheel/venv/bin/python -m build --outdir build/wheel bindings/python
	build/wheel/venv/bin/twine check --strict build/wheel/xent-*
	build/wheel/venv/bin/auditwheel show build/wheel/xent-*.whl | tee build/wheel/auditwheel.txt
	# The tag that it names last is the one that the library's symbols allow: it has to be the wheel's.
	ls build/wheel/xent-*-$$(grep -o 'manylinux[a-z0-9_]*"' build/wheel/auditwheel.txt | tail -1 | tr -d '"').whl

docs: all
	bindings/docs/test
.PHONY: docs

-include bindings/c/package.mk  # not in an sdist

clean:
	rm -rf build .build

FORCE:

.PHONY: all run test check exhaustive fuzz soak sanitize reproducible check-faults accuracy bench wheel clean FORCE
