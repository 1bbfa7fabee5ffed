// Package container builds the image of wsecho from the Dockerfile without a container
// engine. The Dockerfile is the only description of the image. Its build stage has the
// commands to run. Its last stage has the files and the configuration.
package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// buildFolder is the default of the ARG OUT, the folder that the build stage writes to.
const buildFolder = "/out"

// A recipe is what the Dockerfile says.
type recipe struct {
	args   map[string]string // of both stages: the name and the value
	run    []string          // commands of the shell, in order
	files  []file            // of the image, in order
	config v1.Config
}

// A file is a file of the image.
type file struct {
	source string // path in the source tree, or below the ARG OUT if built
	built  bool
	target string // absolute path in the image
}

// readRecipe reads the Dockerfile in the folder root. The args override its ARGs. An
// instruction that this package does not know is an error.
func readRecipe(root string, args map[string]string) (*recipe, error) {
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return nil, err
	}
	return parseRecipe(text, args)
}

func parseRecipe(text []byte, args map[string]string) (*recipe, error) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("parsing the Dockerfile: %w", err)
	}
	stages, meta, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, fmt.Errorf("parsing the Dockerfile: %w", err)
	}
	if len(meta) > 0 || len(stages) != 2 || stages[0].Name != "build" || stages[1].BaseName != "scratch" {
		return nil, errors.New("the Dockerfile must have two stages and no ARG before them: one named build, and one from scratch")
	}
	r := &recipe{args: map[string]string{}, config: v1.Config{Labels: map[string]string{}, ExposedPorts: map[string]struct{}{}}}
	for i, apply := range []func(instructions.Command) error{r.build, r.final} {
		for _, command := range stages[i].Commands {
			if err := r.argument(command, args); err != nil {
				return nil, err
			}
			if err := r.expand(command); err != nil {
				return nil, err
			}
			if err := apply(command); err != nil {
				return nil, fmt.Errorf("%s: %w", command, err)
			}
		}
	}
	for name := range args {
		if _, ok := r.args[name]; !ok {
			return nil, fmt.Errorf("the Dockerfile has no ARG %s", name)
		}
	}
	return r, nil
}

// argument records the values of an ARG.
func (r *recipe) argument(command instructions.Command, args map[string]string) error {
	arg, ok := command.(*instructions.ArgCommand)
	if !ok {
		return nil
	}
	for _, a := range arg.Args {
		value, given := args[a.Key]
		switch {
		case given:
		case a.Value != nil:
			value = *a.Value
		default:
			return fmt.Errorf("ARG %s has no value", a.Key)
		}
		r.args[a.Key] = value
	}
	return nil
}

// expand replaces variables in all instructions but RUN, whose shell does it.
func (r *recipe) expand(command instructions.Command) error {
	c, ok := command.(instructions.SupportsSingleWordExpansion)
	if !ok {
		return nil
	}
	var environ []string
	for name, value := range r.args {
		environ = append(environ, name+"="+value)
	}
	lex := shell.NewLex('\\')
	return c.Expand(func(word string) (string, error) {
		word, unknown, err := lex.ProcessWord(word, shell.EnvsFromSlice(environ))
		if err == nil && len(unknown) > 0 {
			err = fmt.Errorf("%s: the variables are unknown: %v", command, unknown)
		}
		return word, err
	})
}

// build applies an instruction of the build stage. The commands run in the source tree, so
// nothing is copied.
func (r *recipe) build(command instructions.Command) error {
	switch c := command.(type) {
	case *instructions.ArgCommand, *instructions.WorkdirCommand, *instructions.CopyCommand:
		return nil
	case *instructions.RunCommand:
		if !c.PrependShell || len(c.CmdLine) != 1 || len(c.Files) > 0 {
			return errors.New("want one line for the shell")
		}
		r.run = append(r.run, c.CmdLine[0])
		return nil
	}
	return errors.New("the builder does not know this instruction in the build stage")
}

// final applies an instruction of the last stage.
func (r *recipe) final(command instructions.Command) error {
	switch c := command.(type) {
	case *instructions.ArgCommand:
	case *instructions.LabelCommand:
		for _, l := range c.Labels {
			r.config.Labels[l.Key] = l.Value
		}
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			r.config.Env = append(r.config.Env, e.Key+"="+e.Value)
		}
	case *instructions.CopyCommand:
		return r.copy(c)
	case *instructions.UserCommand:
		r.config.User = c.User
	case *instructions.ExposeCommand:
		for _, port := range c.Ports {
			if !strings.Contains(port, "/") {
				port += "/tcp"
			}
			r.config.ExposedPorts[port] = struct{}{}
		}
	case *instructions.HealthCheckCommand:
		h := c.Health
		if h.StartInterval != 0 {
			return errors.New("the library of images has no --start-interval")
		}
		r.config.Healthcheck = &v1.HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
	case *instructions.StopSignalCommand:
		r.config.StopSignal = c.Signal
	case *instructions.EntrypointCommand:
		if c.PrependShell {
			return errors.New("the image has no shell; want a list of arguments")
		}
		r.config.Entrypoint = slices.Clone(c.CmdLine)
	default:
		return errors.New("the builder does not know this instruction in the last stage")
	}
	return nil
}

// copy applies a COPY of one file.
func (r *recipe) copy(c *instructions.CopyCommand) error {
	if len(c.SourcePaths) != 1 || len(c.SourceContents) > 0 || c.Chown != "" || c.Chmod != "" || !strings.HasPrefix(c.DestPath, "/") || strings.HasSuffix(c.DestPath, "/") {
		return errors.New("want one file, an absolute path of a file, and no owner or mode")
	}
	f := file{source: c.SourcePaths[0], target: c.DestPath}
	switch c.From {
	case "":
	case "build":
		inside, ok := strings.CutPrefix(f.source, buildFolder+"/")
		if !ok {
			return fmt.Errorf("the build stage writes to %s only", buildFolder)
		}
		f.source, f.built = inside, true
	default:
		return fmt.Errorf("there is no stage %q", c.From)
	}
	if !filepath.IsLocal(f.source) {
		return fmt.Errorf("%s is outside the source tree", f.source)
	}
	r.files = append(r.files, f)
	return nil
}
