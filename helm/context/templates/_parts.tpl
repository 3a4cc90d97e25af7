{{/* The parts of the release that run as Deployments of the chart: server, and worker where it is separate. */}}
{{- define "context.parts" -}}
{{- if eq .Values.worker.mode "embedded" -}}server{{- else -}}server worker{{- end -}}
{{- end -}}

{{- define "context.partName" -}}
{{- include "context.fullname" .root }}{{ ternary "" "-worker" (eq .component "server") -}}
{{- end -}}

{{/* The name of a part's Deployment; when old versions are kept, each has a Deployment of its own. */}}
{{- define "context.deployed" -}}
{{- include "context.partName" . -}}
{{- if and (eq .component "worker") .root.Values.versioning.keepOld -}}
{{- $build := include "context.buildId" .root -}}
-{{ $build | lower | replace "." "-" | replace "_" "-" | trunc 12 | trimSuffix "-" }}-{{ $build | sha256sum | trunc 4 }}
{{- end -}}
{{- end -}}

{{/* The label by which a part's Deployment selects its pods and not those of older versions. */}}
{{- define "context.versionLabel" -}}
{{- if and (eq .component "worker") .root.Values.versioning.keepOld -}}
intent/build-id: {{ include "context.buildId" .root | quote }}
{{- end -}}
{{- end -}}

{{/* Minimum number of processes of a part. */}}
{{- define "context.least" -}}
{{- if ne .autoscaling.mode "none" -}}{{ .autoscaling.minReplicas }}{{- else -}}{{ .replicas }}{{- end -}}
{{- end -}}

{{- define "context.scaleDown" -}}
scaleDown:
  stabilizationWindowSeconds: {{ .autoscaling.scaleDownSeconds }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: 60
{{- end -}}

{{/* The Secrets with which KEDA reaches Temporal, in the form of its TriggerAuthentication. */}}
{{- define "context.kedaSecrets" -}}
{{- with .Values.temporal.apiKey }}
{{- if .existingSecret }}
- parameter: apiKey
  name: {{ .existingSecret }}
  key: {{ .key }}
{{- end }}
{{- end }}
{{- with .Values.temporal.tls }}
{{- if and .enabled .existingSecret }}
{{- range $parameter, $key := dict "ca" .keys.ca "cert" .keys.certificate "key" .keys.privateKey }}
{{- if $key }}
- parameter: {{ $parameter }}
  name: {{ $.Values.temporal.tls.existingSecret }}
  key: {{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
