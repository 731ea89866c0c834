{{- /* Names and pieces that several objects share. */ -}}

{{- define "metallb.base" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Argument: (list root component); an empty component gives the labels of what both share. */ -}}
{{- define "metallb.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with last . }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "metallb.labels" -}}
{{- $root := first . -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{ include "metallb.selector" . }}
{{- end -}}

{{- /* Argument: (list root component). */ -}}
{{- define "metallb.account" -}}
{{- $root := first . -}}
{{- $account := (index $root.Values (last .)).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "metallb.base" $root) (last .)) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{- /* Argument: (list root image). */ -}}
{{- define "metallb.image" -}}
{{- $image := last . -}}
image: {{ $image.repository }}:{{ $image.tag | default (first .).Chart.AppVersion }}
{{- with $image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{- /* Both probes ask for the metrics page. Argument: the component's values. */ -}}
{{- define "metallb.probes" -}}
{{- range $kind := list "livenessProbe" "readinessProbe" }}
{{- $probe := index $ $kind }}
{{- if $probe.enabled }}
{{ $kind }}:
  httpGet: {path: /metrics, port: monitoring}
  {{- omit $probe "enabled" | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Placement that users may set. Argument: the component's values. */ -}}
{{- define "metallb.placement" -}}
{{- range $key := list "affinity" "priorityClassName" "runtimeClassName" }}
{{- with index $ $key }}
{{ $key }}: {{ toJson . }}
{{- end }}
{{- end }}
nodeSelector: {{ merge (dict "kubernetes.io/os" "linux") .nodeSelector | toJson }}
{{- end -}}
