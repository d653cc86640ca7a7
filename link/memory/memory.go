// Package memory keeps the helper small: one process for each phone.
package memory

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

const (
	memoryLimit = 12 << 20 // what the collector aims at; the program text comes on top
	settleTime  = 3 * time.Second
)

// Limit makes the collector prefer a small process to a fast one, unless the environment says otherwise.
func Limit() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
}

// Settle gives back what starting and logging in took.
func Settle() {
	time.Sleep(settleTime)
	Release()
}

// Release gives unused memory back to the machine: heap, and pages of the program that are not in use.
func Release() {
	debug.FreeOSMemory()
	dropProgram()
}

// Figures are the resident size in bytes, and what the collector holds of it.
func Figures() map[string]any {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	data := map[string]any{"heap_bytes": stats.HeapAlloc, "goroutines": runtime.NumGoroutine()}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			data["resident_bytes"] = pages * int64(os.Getpagesize())
		}
	}
	return data
}
