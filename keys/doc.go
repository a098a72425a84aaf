// Package keys holds who a node is: its Ed25519 identity, the file that keeps
// it, and signatures that are valid for one purpose only.
//
// A signature covers a Domain and a list of parts, each prefixed by its length,
// so a signature made for one kind of message can never be passed off as
// another, and no byte can move from one part into the next unnoticed.
//
// A proof is such a message that others keep. Several of one node may share a
// signature (ProofSigner), and each of them can still be checked by itself.
//
// It guarantees that an identity file is either complete and private or absent:
// a crash leaves no half-written identity, two processes that start together
// agree on one, and a file that others can read is refused. It knows nothing of
// connections, accounts or money, starts no goroutine, keeps nothing but the
// latest signatures that a ProofVerifier has checked, and never puts a private
// key into an error or a log line. The composition root loads the identity;
// whoever makes evidence that others must check is handed a Signer.
package keys
