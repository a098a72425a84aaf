#!/bin/sh
# Runs the golden bytes, fuel numbers and NaN bits, and how the hostile programs
# end with which results and fuel, on both engines, as code for the oldest and for
# recent x86-64 processors: the compiler of Go may fuse and vectorise differently,
# what a module computes and costs may not change.
set -eu
cd "$(dirname "$0")/.."
for level in v1 v3; do
	echo "GOAMD64=$level"
	GOAMD64=$level go test -count=1 -run 'TestGolden|TestNaN|TestRecursion|TestFuelRunsOut|TestBlocks' .
	GOAMD64=$level go test -count=1 -run 'TestHostile$|TestCommand|TestFunction|TestExactFuel' ..
done
