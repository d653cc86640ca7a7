// Package silence keeps the Signal library from writing to standard output, as it does by default.
//
// What it says is told by errors as well, and its lines may hold keys. Importing the package is enough.
package silence

import "go.mau.fi/libsignal/logger"

type nothing struct{}

func (nothing) Debug(_, _ string)   {}
func (nothing) Info(_, _ string)    {}
func (nothing) Warning(_, _ string) {}
func (nothing) Error(_, _ string)   {}
func (nothing) Configure(_ string)  {}

func init() {
	var quiet logger.Loggable = nothing{}
	logger.Setup(&quiet)
}
