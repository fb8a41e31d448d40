package terminal

import (
	"context"
	"fmt"
	"io"
	"time"
)

// refresh is how often progress is drawn.
const refresh = 250 * time.Millisecond

// Progress draws one line on a terminal over and over: how far a long run is, how fast, and how long it will take.
type Progress struct {
	// Out is the terminal.
	Out io.Writer
	// Done returns the bytes that are done, and Total how many there are, or 0 where nobody knows.
	Done  func() int64
	Total int64
}

// Run draws until ctx is done, then clears the line.
func (p *Progress) Run(ctx context.Context) error {
	start := time.Now()
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprint(p.Out, "\r\x1b[K")
			return nil
		case now := <-tick.C:
			fmt.Fprint(p.Out, "\r\x1b[K"+p.line(now.Sub(start)))
		}
	}
}

func (p *Progress) line(elapsed time.Duration) string {
	done := p.Done()
	rate := float64(done) / elapsed.Seconds()
	line := fmt.Sprintf("%s  %s/s", Bytes(done), Bytes(int64(rate)))
	if p.Total <= 0 || rate == 0 {
		return line
	}
	left := time.Duration(float64(p.Total-done) / rate * float64(time.Second))
	return fmt.Sprintf("%3d%%  %s of %s  %s/s  %s left",
		100*done/p.Total, Bytes(done), Bytes(p.Total), Bytes(int64(rate)), max(left, 0).Round(time.Second))
}

// Bytes returns a number of bytes as people read it, in powers of 1024.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), -1
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
