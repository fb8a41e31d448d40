package hooks

// located is a function in the file, with the program that is made for it.
type located struct {
	function
	program Program
}

// place makes a hook for each function for which that can be done.
func (img *image) place(functions []located, _ Options) []Hook {
	var hooks []Hook
	for _, f := range functions {
		start, ok := img.offset(f.addr)
		if !ok {
			continue
		}
		h := Hook{Program: f.program, Symbol: f.name, Enter: start}
		if f.program.results() {
			h.Exit, h.Trampoline = []uint64{start}, true
		}
		hooks = append(hooks, h)
	}
	return hooks
}
