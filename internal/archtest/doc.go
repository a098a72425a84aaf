// Package archtest keeps the shape of the repository: which package may import
// which, who owns a third-party module, and the habits a compiler does not check.
//
// It is tests only and nothing imports it. The tests read and parse the source
// files themselves, so that the test cache sees every change of them, and each
// rule is proved by a fixture that breaks it. The tables are in floors_test.go
// and owners_test.go: a new package or a new owner is one line there.
//
// It guarantees that what docs/architecture.md says about floors and owners is
// true of the code. Everybody who runs the tests runs it.
package archtest
