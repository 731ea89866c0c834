{{- /* Names and pieces that several objects share. */ -}}

{{- define "longhorn.space" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "longhorn.labels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* Argument: (list root image). */ -}}
{{- define "longhorn.image" -}}
{{- $root := first . -}}
{{- $image := last . -}}
{{- with coalesce $root.Values.global.imageRegistry $root.Values.privateRegistry.registryUrl $image.registry }}{{ . }}/{{ end -}}
{{ $image.repository }}:{{ $image.tag }}
{{- end -}}

{{- define "longhorn.manager.image" -}}
{{- include "longhorn.image" (list . .Values.image.longhorn.manager) -}}
{{- end -}}

{{- /* Where pods run and how their images are pulled. Argument: (list root component-values). */ -}}
{{- define "longhorn.placement" -}}
{{- $root := first . -}}
{{- $own := last . -}}
{{- with $root.Values.privateRegistry.registrySecret }}
imagePullSecrets: [{name: {{ . }}}]
{{- else }}
{{- with $root.Values.global.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- end }}
{{- with $own.priorityClass }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with default $root.Values.global.tolerations $own.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with default $root.Values.global.nodeSelector $own.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- end -}}

{{- /* An environment variable from the pod's own fields. Argument: (list name field). */ -}}
{{- define "longhorn.own" -}}
- {name: {{ first . }}, valueFrom: {fieldRef: {fieldPath: {{ last . }}}}}
{{- end -}}
