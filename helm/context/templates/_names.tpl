{{/* The name of every object of the release: the release's name, with the context's unless that contains it. */}}
{{- define "context.fullname" -}}
{{- $context := include "context.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $context .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc (int (sub 39 (len $context))) | trimSuffix "-") $context | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The context's name in a form that Kubernetes accepts. */}}
{{- define "context.name" -}}
{{- .Values.context | replace "_" "-" | trunc 30 | trimSuffix "-" -}}
{{- end -}}

{{- define "context.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select the pods of the release; they never change. */}}
{{- define "context.selectorLabels" -}}
app.kubernetes.io/name: {{ include "context.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object; .component names the part that it belongs to. */}}
{{- define "context.labels" -}}
{{ include "context.selectorLabels" . }}
app.kubernetes.io/part-of: intent
app.kubernetes.io/version: {{ include "context.version" .root | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ include "context.chart" .root }}
{{- end -}}

{{/* The version of the code, as a valid label value. */}}
{{- define "context.version" -}}
{{- if .Values.image.digest -}}
{{- .Values.image.digest | trimPrefix "sha256:" | trunc 12 -}}
{{- else -}}
{{- include "context.tag" . | regexFind "[A-Za-z0-9._-]+" | trunc 63 | trimAll "-_." -}}
{{- end -}}
{{- end -}}

{{- define "context.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "context.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "context.tag" -}}
{{- $shared := (.Values.global | default dict).image | default dict -}}
{{- .Values.image.tag | default $shared.tag | default .Chart.AppVersion -}}
{{- end -}}

{{- define "context.image" -}}
{{- $shared := (.Values.global | default dict).image | default dict -}}
{{- with .Values.image.registry | default $shared.registry -}}{{ . | trimSuffix "/" }}/{{- end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest -}}@{{ .Values.image.digest }}{{- else -}}:{{ include "context.tag" . }}{{- end -}}
{{- end -}}

{{- define "context.pullSecrets" -}}
{{- $shared := (.Values.global | default dict).image | default dict -}}
{{- with .Values.image.pullSecrets | default $shared.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "context.temporalAddress" -}}
{{- $shared := (.Values.global | default dict).temporal | default dict -}}
{{- .Values.temporal.address | default $shared.address | default "" -}}
{{- end -}}

{{- define "context.temporalNamespace" -}}
{{- $shared := (.Values.global | default dict).temporal | default dict -}}
{{- .Values.temporal.namespace | default $shared.namespace | default "default" -}}
{{- end -}}

{{- define "context.temporalPort" -}}
{{- include "context.temporalAddress" . | splitList ":" | last -}}
{{- end -}}

{{/* What the chart knows about the context: contexts/<context>.yaml. */}}
{{- define "context.facts" -}}
{{- .Files.Get (printf "contexts/%s.yaml" .Values.context) -}}
{{- end -}}

{{- define "context.buildId" -}}
{{- .Values.versioning.buildId | default (include "context.version" .) -}}
{{- end -}}

{{/* Set when processes other than the servers do the context's work. */}}
{{- define "context.separate" -}}
{{- if ne .Values.worker.mode "embedded" -}}true{{- end -}}
{{- end -}}

{{/* Seconds until a pod is killed: the given value, or the time of preStop and of both parts of the drain. */}}
{{- define "context.gracePeriod" -}}
{{- if kindIs "invalid" .Values.shutdown.gracePeriodSeconds -}}
{{- add .Values.shutdown.preStopSeconds (mul 2 .Values.shutdown.drainSeconds) 15 -}}
{{- else -}}
{{- .Values.shutdown.gracePeriodSeconds -}}
{{- end -}}
{{- end -}}

{{/* The worker deployment in Temporal of which this release is a version. */}}
{{- define "context.deploymentName" -}}
{{- printf "%s/%s" .Release.Namespace (include "context.fullname" .) -}}
{{- end -}}
