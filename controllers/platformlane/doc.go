// Package platformlane brings up lanes: who holds the platform, the IAM role
// that carries its permissions, the stores, the index.
//
// Two controllers share the work, so that suspending or deleting a lane never
// waits for its index. Reconciler sees to claim and credentials, and is the one
// writer of the status. Indexer has the engine sync the lane's channels, which
// may take long, and hands its result to Reconciler.
package platformlane
