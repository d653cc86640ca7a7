//go:build linux

package memory

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dropProgram unmaps the pages of the program's own file for now. They come back from the page cache, which all
// helpers share, when they are needed; an idle helper needs few. Writable pages are left alone.
func dropProgram() {
	path, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, line := range strings.Split(string(maps), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 6 || fields[5] != path || (fields[1] != "r-xp" && fields[1] != "r--p") {
			continue
		}
		first, last, _ := strings.Cut(fields[0], "-")
		from, errFrom := strconv.ParseUint(first, 16, 64)
		until, errUntil := strconv.ParseUint(last, 16, 64)
		if errFrom == nil && errUntil == nil {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(from), uintptr(until-from), syscall.MADV_DONTNEED)
		}
	}
}
