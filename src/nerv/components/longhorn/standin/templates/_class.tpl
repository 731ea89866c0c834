{{- /* The StorageClass that the manager creates from a ConfigMap. All parameters are strings. */ -}}
{{- define "longhorn.class" -}}
{{- $p := .Values.persistence -}}
{{- $parameters := dict "numberOfReplicas" $p.defaultClassReplicaCount "staleReplicaTimeout" "30" "fromBackup" "" "dataLocality" $p.defaultDataLocality -}}
{{- $optional := dict "fsType" $p.defaultFsType "mkfsParams" $p.defaultMkfsParams "nfsOptions" $p.nfsOptions
    "unmapMarkSnapChainRemoved" $p.unmapMarkSnapChainRemoved "backupTargetName" $p.backupTargetName -}}
{{- if $p.migratable -}}{{- $_ := set $optional "migratable" "true" -}}{{- end -}}
{{- if $p.disableRevisionCounter -}}
{{- $_ := set $optional "disableRevisionCounter" $p.disableRevisionCounter -}}
{{- $_ := set $optional "dataEngine" $p.dataEngine -}}
{{- end -}}
{{- if $p.defaultDiskSelector.enable -}}{{- $_ := set $optional "diskSelector" $p.defaultDiskSelector.selector -}}{{- end -}}
{{- if $p.defaultNodeSelector.enable -}}{{- $_ := set $optional "nodeSelector" $p.defaultNodeSelector.selector -}}{{- end -}}
{{- if $p.recurringJobSelector.enable -}}{{- $_ := set $optional "recurringJobSelector" $p.recurringJobSelector.jobList -}}{{- end -}}
{{- if $p.backingImage.enable -}}
{{- $_ := set $optional "backingImage" $p.backingImage.name -}}
{{- $_ := set $optional "backingImageDataSourceType" $p.backingImage.dataSourceType -}}
{{- $_ := set $optional "backingImageDataSourceParameters" $p.backingImage.dataSourceParameters -}}
{{- $_ := set $optional "backingImageChecksum" $p.backingImage.expectedChecksum -}}
{{- end -}}
{{- range $key, $value := $optional -}}
{{- if $value -}}{{- $_ := set $parameters $key $value -}}{{- end -}}
{{- end -}}
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: longhorn
  annotations: {storageclass.kubernetes.io/is-default-class: "{{ $p.defaultClass }}"}
provisioner: driver.longhorn.io
allowVolumeExpansion: true
reclaimPolicy: {{ $p.reclaimPolicy | quote }}
volumeBindingMode: {{ default "Immediate" $p.volumeBindingMode }}
parameters:
  {{- range $key, $value := $parameters }}
  {{ $key }}: {{ toString $value | toJson }}
  {{- end }}
{{- end -}}
