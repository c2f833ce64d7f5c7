// The program replay feeds recorded history of a package index through the index
// engine and counts what that costs.
//
//	go run ./test/bench/replay --baseline FILE --trace FILE
//
// The baseline is a table of files with four columns, separated by tabs: key,
// SHA-256, SHA-256 of METADATA, Requires-Python. The trace has one JSON object a
// line: day, added (rows of those columns), removed and overwritten (keys, or
// rows). Both may be compressed with gzip. Every accelerator folder becomes a
// lane; small stand-in wheels take the place of the real ones.
//
// Each day is cut into runs, as a cron job would make them; in each run every
// lane is synced. After every day the published pages are compared with what the
// files on record say, and with what an engine that has just started makes of
// them; at the end also with an index built from nothing. A difference ends the
// program with exit code 1.
//
// The result is JSON on standard output: requests by kind, pages written, bytes
// and seconds, for each day and in sum, beside the requests of the generator
// that the index has today.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	baseline := flag.String("baseline", "", "table of the files at the beginning (required)")
	trace := flag.String("trace", "", "what was added, removed and overwritten on each day (required)")
	days := flag.Int("days", 0, "stop after this many days; 0 for all")
	runs := flag.Int("runs-per-day", 24, "how many runs a day is cut into")
	rebuild := flag.Bool("rebuild", true, "at the end, also compare with an index built from nothing")
	flag.Parse()
	if *baseline == "" || *trace == "" || flag.NArg() > 0 || *runs < 1 || *days < 0 {
		flag.Usage()
		return fmt.Errorf("give --baseline and --trace, and no other arguments")
	}
	r := newReplay(*runs, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) })
	if err := r.load(ctx, *baseline, *trace, *days); err != nil {
		return err
	}
	if *rebuild {
		if err := r.checkRebuild(ctx); err != nil {
			return err
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r.result())
}
