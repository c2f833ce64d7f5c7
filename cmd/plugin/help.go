package plugin

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// helpWidth is how wide the help's list of kubectl's flags is, in characters.
const helpWidth = 80

// ShortenHelp gives a command's own flags the room in its help and only names
// those that every kubectl command has. Call it once the command has all its
// flags.
func ShortenHelp(cmd *cobra.Command) {
	kubectls := pflag.NewFlagSet("kubectl", pflag.ContinueOnError)
	genericclioptions.NewConfigFlags(true).AddFlags(kubectls)
	scratch := &cobra.Command{}
	genericclioptions.NewPrintFlags("").AddFlags(scratch)
	kubectls.AddFlagSet(scratch.Flags())

	own := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	var others []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "namespace" || f.Name == "output" || kubectls.Lookup(f.Name) == nil {
			own.AddFlag(f)
			return
		}
		others = append(others, "--"+f.Name)
	})
	text := strings.TrimRight(own.FlagUsages(), "\n")
	if len(others) > 0 {
		text += "\n\nBeside them, behind the command (kubectl options explains them):\n" +
			list(others)
	}
	const all = "{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}"
	cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), all, text, 1))
}

// list puts words into lines.
func list(words []string) string {
	var out strings.Builder
	at := helpWidth
	for _, word := range words {
		if at+1+len(word) > helpWidth {
			out.WriteString("\n  ")
			at = 1
		} else {
			out.WriteByte(' ')
		}
		out.WriteString(word)
		at += 1 + len(word)
	}
	return strings.TrimPrefix(out.String(), "\n")
}
