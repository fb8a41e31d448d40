package main

import (
	"fmt"
	"io"
	"strings"
)

// print writes one row, and below it what is wrong.
func (v *verdict) print(w io.Writer, kernel string) {
	choose := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	fmt.Fprintf(w, "%-8s %-30s %-8s %-12s %-14s %-7s", kernel, v.kernel, v.run,
		choose(v.features.RingBuffer, "ring buffer", "perf buffer"),
		choose(v.features.UprobeMulti, "uprobe_multi", "uprobe"),
		choose(v.features.BTF, "BTF", "no BTF"))
	var wrong []string
	for i, err := range v.results {
		fmt.Fprintf(w, " %s %s", exchanges[i].Name, choose(err == nil, "ok", "FAIL"))
		if err != nil {
			wrong = append(wrong, exchanges[i].Name+": "+err.Error())
		}
	}
	for _, err := range v.trouble {
		wrong = append(wrong, err.Error())
	}
	fmt.Fprintln(w)
	for _, line := range wrong {
		fmt.Fprintln(w, "         ", strings.TrimSpace(line))
	}
}
