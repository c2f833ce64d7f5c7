package plugin

import (
	"fmt"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
)

// The values of --dry-run, as kubectl has them.
const (
	DryRunNone   = "none"
	DryRunClient = "client"
	DryRunServer = "server"
)

// Printer is what prints an object; a line for people says if it was a dry run.
// An unknown value of --dry-run is an error.
func Printer(flags *genericclioptions.PrintFlags, dryRun string) (printers.ResourcePrinter, error) {
	success := "%s"
	switch dryRun {
	case DryRunNone:
	case DryRunClient:
		success = "%s (dry run)"
	case DryRunServer:
		success = "%s (server dry run)"
	default:
		return nil, fmt.Errorf("--dry-run %q: use none, client or server", dryRun)
	}
	if err := flags.Complete(success); err != nil {
		return nil, err
	}
	return flags.ToPrinter()
}

// MachineOutput is true when -o asks for something else than a line for people.
func MachineOutput(flags *genericclioptions.PrintFlags) bool {
	return *flags.OutputFormat != "" || *flags.TemplatePrinterFlags.TemplateArgument != ""
}
