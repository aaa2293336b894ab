# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The project's commands. Builds are meson's; what is here finds or makes what they need.

IMAGE = patched
SECONDS = 600
PREFIX = /usr/local
DESTDIR =
STEPS = 120
N = 100
WHAT = all

.PHONY: all install image packages demo demo-memcached demo-vm compare check check-quick check-long check-kernels \
	check-series walk soak fuzz bench format clean clean-cache versions help

all: ## build libluo and luoctl natively into build/
	@scripts/build-native >/dev/null

install: ## build for use, and install below PREFIX=/usr/local (DESTDIR=: below that folder instead of /)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install

image: ## a disk image for UEFI, with the patched systemd: build/libluo.raw
	@scripts/build-disk --copy build/libluo.raw

packages: ## Debian packages: libluo, its tools, and Debian's systemd with the series on top: build/packages
	@scripts/build-packages --copy build/packages

demo: ## three services live through two kexecs in a VM (IMAGE=stock: with stock systemd; IMAGE=disk: the disk image)
	@demo/run $(IMAGE)

demo-vm: ## a virtual machine with Linux in it lives through two kexecs of its host (IMAGE=stock: with stock systemd)
	@demo/run-vm $(IMAGE)

demo-memcached: ## Debian's memcached, with 1 GiB of items, lives through two kexecs (IMAGE=stock: with stock systemd)
	@demo/run-memcached $(IMAGE)

compare: ## what comes back over kexecs with stock and with patched systemd, case by case
	@tests/system/check-comparison

check: ## all tests
	@scripts/check

check-quick: ## the tests that need no VM
	@scripts/check --quick

check-long: ## what takes too long for each change: sweeps of memory limits, further initrds, disk images
	@scripts/check --long

check-kernels: ## what is about the kernel, on each one with LUO that the mirror has (UPDATE=--update: write the table)
	@tests/kernels/check-kernels $(UPDATE)

check-series: ## build systemd with each patch in turn, and run its own unit tests (what changed; hours the first time)
	@scripts/check-series

walk: ## a random walk against the model of what must be in each fd store (SEED=, STEPS=120, MINUTES=: further seeds)
	@tests/system/run-walk $(if $(SEED),--seed $(SEED)) --steps $(STEPS) $(if $(MINUTES),--minutes $(MINUTES))

soak: ## mixed load over N=100 kexecs in a row (20 of them are in check-long)
	@tests/system/run-test many-kexecs soak --kexecs $(N) --journal persistent

fuzz: ## run the fuzzers for a while (SECONDS=600)
	@scripts/fuzz $(SECONDS)

bench: ## what libluo costs over raw ioctls, and systemd over kexecs (WHAT=libluo, WHAT=systemd, WHAT=downtime)
	@scripts/bench $(WHAT)

format: ## format the C code
	@scripts/in-tools sh -c 'git ls-files "*.c" "*.h" | xargs clang-format -i'

clean: ## remove build/
	@rm -rf build build-release build-dev build-fuzz build-bench

clean-cache: ## remove the cache: tools, kernel, systemd, images
	@scripts/clean-cache

versions: ## which Debian release, kernel and systemd would be taken of what the mirror has
	@scripts/versions

help: ## show this
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24
