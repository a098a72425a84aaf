package container

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenzro/tenzro/compute/container/docker"
	"github.com/tenzro/tenzro/core"
)

const (
	digestPrefix = "sha256:"
	digestHex    = 64
	// maxNameBytes is the longest name of an image that a registry takes.
	maxNameBytes = 255
	// runtimeDigits is how much of a digest tells images apart where it is announced:
	// 64 bits, and whoever runs the image compares all of it.
	runtimeDigits = 16
	// MaxImages bounds an operator's list, so that the announcement of all of them fits
	// into an ad.
	MaxImages = 32
	// maxVolumes bounds the directories that an image may want to be writable.
	maxVolumes = 16
)

// Ref names an image by its content.
type Ref struct {
	Name   string // of its repository; empty where Digest is the image's id
	Digest string // "sha256:" and 64 hex digits: of its manifest, or its id
}

// ParseRef reads "name@sha256:<64 hex digits>" or "sha256:<64 hex digits>". A tag
// before the digest is refused: it says nothing and may mislead.
func ParseRef(s string) (Ref, error) {
	name, digest, named := strings.Cut(s, "@")
	if !named {
		name, digest = "", s
	}
	hex, ok := strings.CutPrefix(digest, digestPrefix)
	switch {
	case !ok || len(hex) != digestHex || strings.Trim(hex, "0123456789abcdef") != "":
		return Ref{}, errors.New("does not end in sha256: and 64 lower-case hex digits")
	case named && !isName(name):
		return Ref{}, errors.New("has a name that is none of an image, or a tag")
	}
	return Ref{Name: name, Digest: digest}, nil
}

// isName reports whether s can be the name of a repository: parts of lower-case
// letters, digits, '.', '_' and '-', the first also with a port.
func isName(s string) bool {
	if s == "" || len(s) > maxNameBytes {
		return false
	}
	for i, part := range strings.Split(s, "/") {
		allowed := "abcdefghijklmnopqrstuvwxyz0123456789._-"
		if i == 0 && strings.Contains(s, "/") {
			allowed += ":"
		}
		if part == "" || strings.Trim(part, allowed) != "" || strings.Trim(part, "._-:") == "" {
			return false
		}
	}
	return true
}

// String is the form that ParseRef reads.
func (r Ref) String() string {
	if r.Name == "" {
		return r.Digest
	}
	return r.Name + "@" + r.Digest
}

// Runtime is what a node that has the image announces, and a task that needs it asks
// for.
func (r Ref) Runtime() core.TaskType {
	return Type + "/" + core.TaskType(r.Digest[len(digestPrefix):][:runtimeDigits])
}

// is reports why an image that an engine has is not the one that r means, or cannot run
// on a processor of the engine's kind; nil if it is and can.
func (r Ref) is(i docker.Image, arch string) error {
	if id, err := ParseRef(i.ID); err != nil || id.Name != "" {
		return fmt.Errorf("the engine gives it the id %.100q, which is none", i.ID)
	}
	switch {
	case r.Name == "" && i.ID != r.Digest:
		return errors.New("the engine has another image under that id")
	case r.Name != "" && !slices.ContainsFunc(i.RepoDigests, r.same):
		return errors.New("the engine's image of that name has another digest")
	case i.OS != "linux":
		return fmt.Errorf("it is made for %.20q", i.OS)
	case i.Arch != arch:
		return fmt.Errorf("it is made for %.20q, and the engine runs on %.20q", i.Arch, arch)
	case len(i.Config.Volumes) > maxVolumes:
		return fmt.Errorf("it wants %d volumes; at most %d are covered", len(i.Config.Volumes), maxVolumes)
	}
	return nil
}

// same reports whether a repository digest has r's content, whatever its name.
func (r Ref) same(repoDigest string) bool {
	other, err := ParseRef(repoDigest)
	return err == nil && other.Digest == r.Digest
}

// Images is what an operator allows: images by content. The name in an entry says where
// the engine finds and pulls the image from, nothing else.
type Images []Ref

// ParseImages reads an operator's list. The error is core.Invalid.
func ParseImages(list []string) (Images, error) {
	var all Images
	for _, s := range list {
		r, err := ParseRef(s)
		if err != nil {
			return nil, core.Errorf(core.Invalid, "compute.containerImages", "image %.200q %s", s, err.Error()).
				WithHint("write name@sha256:<digest>, or sha256:<id> of an image that was built here; docker inspect shows both")
		}
		if !slices.ContainsFunc(all, func(known Ref) bool { return known.Digest == r.Digest }) {
			all = append(all, r)
		}
	}
	if len(all) > MaxImages {
		return nil, core.Errorf(core.Invalid, "compute.containerImages", "%d images are allowed; a node has %d at most", len(all), MaxImages)
	}
	return all, nil
}
