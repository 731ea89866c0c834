{{- /* Names and pieces that several objects share. A part is one of the three Deployments or the check after installing. */ -}}

{{- define "cm.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "cm.base" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "cm.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "cm.space" -}}
{{- default .Release.Namespace .Values.namespace -}}
{{- end -}}

{{- /* The name of a part's objects. Argument: (list root part). */ -}}
{{- define "cm.full" -}}
{{- $base := include "cm.base" (first .) -}}
{{- ternary $base (printf "%s-%s" $base (last .)) (eq (last .) "controller") -}}
{{- end -}}

{{- /* Argument: (list root part). */ -}}
{{- define "cm.selector" -}}
app.kubernetes.io/name: {{ ternary (include "cm.name" (first .)) (last .) (eq (last .) "controller") }}
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . | quote }}
{{- end -}}

{{- define "cm.common" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with (index .Values "global").commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Argument: (list root part). */ -}}
{{- define "cm.labels" -}}
app: {{ ternary (include "cm.name" (first .)) (last .) (eq (last .) "controller") }}
{{ include "cm.selector" . }}
{{ include "cm.common" (first .) }}
{{- end -}}

{{- /* A part's values; the controller's stand at the root. Argument: (list root part). */ -}}
{{- define "cm.account" -}}
{{- $root := first . -}}
{{- $account := (ternary $root.Values (index $root.Values (last .)) (eq (last .) "controller")).serviceAccount -}}
{{- default (ternary (include "cm.full" .) "default" $account.create) $account.name -}}
{{- end -}}

{{- /* Argument: (list root image). */ -}}
{{- define "cm.image" -}}
{{- $image := last . -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default (first .).Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}
