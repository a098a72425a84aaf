// Package api is the HTTP face of a node, for people and tools: the documented
// endpoints of the three node types, /api/v1 for what is newer, events over SSE
// and WebSocket, health, metrics and the OpenAPI document.
//
// It decides nothing about tasks, peers or roles: it defines the narrow
// interfaces it needs (Tasks, Global, Regional, Local, Node, Roles) and package
// node hands it whatever the active roles provide, asked anew at every request,
// because roles change while the node runs.
//
// It guarantees that every request is bounded in size, depth, time and rate
// before anything else sees it; that a request from another site's page, for a
// host name that is not ours or without the token that is required never
// reaches a handler; that every error is a problem+json (RFC 9457) whose status
// follows from its core.Kind; and that the OpenAPI document is built from the
// same table the router is, so that neither can lie about the other.
//
// The table is served by our own thin layer and described by huma's OpenAPI
// model. huma's request pipeline is not used: it decodes a body twice, answers
// with the meaning of one global error constructor, and one path of ours has
// three contracts chosen at request time.
//
// Package node runs it: New starts nothing, Listen binds, Serve works until its
// context ends.
package api
