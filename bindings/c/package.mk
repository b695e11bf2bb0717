# SPDX-License-Identifier: Apache-2.0
#
# What is made of build/lib for others to use: an installed tree, a tarball of one, Debian packages. Part of the Makefile.

MANDIR ?= $(PREFIX)/share/man
CMAKEDIR ?= $(LIBDIR)/cmake/xent
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
# The prefix that xent.pc names: where the tree will be moved about, '$${pcfiledir}/../..'.
PKGCONFIG_PREFIX ?= $(PREFIX)
# One date for all that has a date in it, so that the same sources give the same bytes.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(or $(shell git log -1 --format=%ct 2> /dev/null),$(shell stat -c %Y Include/xent.h))
endif
export SOURCE_DATE_EPOCH

# From the directory of the CMake files to another one; not followed through links, which are the build machine's.
from_cmake = $(shell realpath -ms --relative-to='$(CMAKEDIR)' '$(1)')
SUBSTITUTE := sed -e 's|@VERSION@|$(VERSION)|g;s|@MAJOR@|$(MAJOR)|g' -e 's|@PREFIX@|$(PKGCONFIG_PREFIX)|' \
  -e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|;s|@INCLUDEDIR@|$(INCLUDEDIR:$(PREFIX)/%=$${prefix}/%)|'

MAN := build/man/xent.3
man: $(MAN)
# Every time: its date is no file's.
$(MAN): FORCE
	mkdir -p build/man
	$(PYTHON) bindings/c/man/generate build/man

install: all install-files

# Without building: for a tree whose build/lib comes from elsewhere.
install-files: $(MAN)
	install -d -m 755 $(addprefix $(DESTDIR),$(LIBDIR) $(PKGCONFIGDIR) $(CMAKEDIR) $(INCLUDEDIR)/xent $(MANDIR)/man3)
	install -m 755 build/lib/libxent.so $(DESTDIR)$(LIBDIR)/libxent.so.$(VERSION)
	ln -sf libxent.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libxent.so.$(MAJOR)
	ln -sf libxent.so.$(MAJOR) $(DESTDIR)$(LIBDIR)/libxent.so
	install -m 644 build/lib/libxent.a $(DESTDIR)$(LIBDIR)/libxent.a
	install -m 644 Include/xent.h Include/xent_xla.h bindings/cpp/include/xent.hpp $(DESTDIR)$(INCLUDEDIR)
	install -m 644 bindings/cpp/include/xent/*.hpp $(DESTDIR)$(INCLUDEDIR)/xent
	install -m 644 build/man/*.3 $(DESTDIR)$(MANDIR)/man3
	$(SUBSTITUTE) bindings/c/xent.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/xent.pc
	$(SUBSTITUTE) -e 's|@FROM_CMAKE_TO_LIB@|$(call from_cmake,$(LIBDIR))|' \
	  -e 's|@FROM_CMAKE_TO_INCLUDE@|$(call from_cmake,$(INCLUDEDIR))|' \
	  bindings/c/cmake/xent-config.cmake.in > $(DESTDIR)$(CMAKEDIR)/xent-config.cmake
	$(SUBSTITUTE) bindings/c/cmake/xent-config-version.cmake.in > $(DESTDIR)$(CMAKEDIR)/xent-config-version.cmake
	chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/xent.pc $(DESTDIR)$(CMAKEDIR)/*.cmake

# A tree that works wherever it is unpacked; the same bytes from the same libraries, whoever packs it.
DISTDIR ?= build/dist
DIST := xent-$(VERSION)-linux-$(shell uname -m)
dist: all
	rm -rf $(DISTDIR)/$(DIST)
	$(MAKE) install-files DESTDIR=$(DISTDIR)/$(DIST) PREFIX= PKGCONFIG_PREFIX='$$$${pcfiledir}/../..'
	install -m 644 LICENSE README.md CHANGELOG.md $(DISTDIR)/$(DIST)
	tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
	  --mtime=@$(SOURCE_DATE_EPOCH) -C $(DISTDIR) $(DIST) | gzip -9n > $(DISTDIR)/$(DIST).tar.gz
	@echo $(DISTDIR)/$(DIST).tar.gz

# Debian's sources are this tree with bindings/c/debian as debian/. dpkg-buildpackage would build the library once more;
# XENT_PREBUILT spares it that.
DEBDIR ?= build/deb
DEB_SOURCES := Package.swift Makefile Sources Include bindings/c bindings/cpp README.md CHANGELOG.md LICENSE
deb: all
	rm -rf $(DEBDIR)
	mkdir -p $(DEBDIR)/xent-$(VERSION)
	cp -a --parents $(DEB_SOURCES) $(DEBDIR)/xent-$(VERSION)
	mv $(DEBDIR)/xent-$(VERSION)/bindings/c/debian $(DEBDIR)/xent-$(VERSION)/debian
	cd $(DEBDIR)/xent-$(VERSION) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL XENT_PREBUILT='$(abspath build/lib)' \
	  dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo
	@ls $(DEBDIR)/*.deb

.PHONY: man install install-files dist deb
