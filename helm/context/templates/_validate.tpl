{{/* Refuses invalid values, each with how to fix it. The schema has checked types and names before. */}}
{{- define "context.validate" -}}
{{- include "context.defaults" . -}}
{{- $problems := list -}}
{{- range list "context.problemsOfContext" "context.problemsOfName" "context.problemsOfImage" "context.problemsOfDatabase" "context.problemsOfTemporal" "context.problemsOfSigning" "context.problemsOfIdentity" "context.problemsOfTls" "context.problemsOfWorker" "context.problemsOfScaling" "context.problemsOfShutdown" "context.problemsOfLabels" -}}
{{- $problems = concat $problems (include . $ | splitList "\n" | compact) -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\nthe values are invalid:\n- %s\n" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}

{{- define "context.known" -}}
{{- $known := list -}}
{{- range $path, $_ := .Files.Glob "contexts/*.yaml" -}}
{{- $known = append $known (base $path | trimSuffix ".yaml") -}}
{{- end -}}
{{- $known | sortAlpha | join ", " -}}
{{- end -}}

{{- define "context.problemsOfContext" -}}
{{- if not .Values.context }}
context is not set: set it to one of {{ include "context.known" . }}
{{- else if not (include "context.facts" .) }}
context {{ .Values.context | quote }} is unknown: set it to one of {{ include "context.known" . }}, or describe the new context in helm/context/contexts/{{ .Values.context }}.yaml
{{- end }}
{{- end -}}

{{- define "context.problemsOfName" -}}
{{- if and .Values.context (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "context.fullname" .))) }}
the release {{ .Release.Name | quote }} cannot name a Service: begin its name with a letter and use only a-z, 0-9 and "-", or set fullnameOverride
{{- end }}
{{- end -}}

{{- define "context.problemsOfImage" -}}
{{- if not .Values.image.repository }}
image.repository is not set: set it to the repository of the image of the context, e.g. intent/{{ .Values.context | default "orders" }}
{{- end }}
{{- if hasPrefix "sha256:" (include "context.tag" .) }}
image.tag contains a digest: set image.digest instead
{{- end }}
{{- end -}}

{{- define "context.problemsOfDatabase" -}}
{{- with .Values.database }}
{{- if not .existingSecret }}
database.existingSecret is not set: create a Secret with the keys {{ .keys.service }}, {{ .keys.query }} and {{ .keys.owner }}, each a URL of PostgreSQL, and set database.existingSecret to its name
{{- end }}
{{- if and (has .tls.mode (list "verify-ca" "verify-full")) (not .tls.existingSecret) }}
database.tls.mode {{ .tls.mode }} needs the authority that signed PostgreSQL's certificate: set database.tls.existingSecret to a Secret with the key {{ .tls.keys.ca }}
{{- end }}
{{- if ne (empty .tls.keys.certificate) (empty .tls.keys.privateKey) }}
database.tls.keys has only one of certificate and privateKey: set both, or neither
{{- end }}
{{- if and .tls.existingSecret (not (or .tls.keys.ca .tls.keys.certificate)) }}
database.tls.existingSecret is set, but none of its keys is used: set database.tls.keys.ca, or leave database.tls.existingSecret empty
{{- end }}
{{- end }}
{{- if and .Values.migrate.provision (not .Values.migrate.enabled) }}
migrate.provision is set but migrate.enabled is not: set migrate.enabled=true, or provision by hand with `intent migrate {{ .Values.context }} --provision`
{{- end }}
{{- end -}}

{{- define "context.problemsOfTemporal" -}}
{{- $address := include "context.temporalAddress" . -}}
{{- if not $address }}
temporal.address is not set: set it to Temporal's frontend, e.g. temporal-frontend.temporal:7233
{{- else if not (regexMatch "^[A-Za-z0-9._-]+:[0-9]{1,5}$" $address) }}
temporal.address {{ $address | quote }} is not of the form host:port: set it to e.g. temporal-frontend.temporal:7233, without a scheme
{{- end }}
{{- with .Values.temporal }}
{{- if and .tls.existingSecret (not .tls.enabled) }}
temporal.tls.existingSecret is set but temporal.tls.enabled is not: set temporal.tls.enabled=true
{{- end }}
{{- if and .apiKey.existingSecret (not .tls.enabled) }}
temporal.apiKey.existingSecret is set without TLS, which would send the key in the clear: set temporal.tls.enabled=true
{{- end }}
{{- if ne (empty .tls.keys.certificate) (empty .tls.keys.privateKey) }}
temporal.tls.keys has only one of certificate and privateKey: set both, or neither
{{- end }}
{{- if and .apiKey.existingSecret .tls.existingSecret .tls.keys.certificate }}
temporal has both an API key and a client certificate: leave temporal.apiKey.existingSecret empty, or temporal.tls.keys.certificate and temporal.tls.keys.privateKey
{{- end }}
{{- end }}
{{- end -}}

{{- define "context.problemsOfWorker" -}}
{{- if eq .Values.worker.mode "workerDeployment" }}
{{- if .Values.versioning.enabled }}
versioning.enabled is for processes that the chart rolls out: set versioning.enabled=false, because the Temporal Worker Controller assigns build ids itself
{{- end }}
{{- if ne .Values.worker.autoscaling.mode "none" }}
worker.autoscaling.mode {{ .Values.worker.autoscaling.mode }} cannot scale a WorkerDeployment, whose controller creates Deployments of its own: set it to none, and scale them with a WorkerResourceTemplate among extraObjects
{{- end }}
{{- if and (eq .Values.worker.controller.strategy "Progressive") (not .Values.worker.controller.steps) }}
worker.controller.strategy Progressive needs worker.controller.steps: add steps, or set the strategy to AllAtOnce
{{- end }}
{{- with .Values.temporal.tls }}
{{- if and .existingSecret (not (and (has .keys.ca (list "" "ca.crt")) (has .keys.certificate (list "" "tls.crt")) (has .keys.privateKey (list "" "tls.key")))) }}
temporal.tls.keys are not those that the Temporal Worker Controller reads: name them ca.crt, tls.crt and tls.key in {{ .existingSecret }}, and in temporal.tls.keys
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.versioning.keepOld (not (and .Values.versioning.enabled (eq .Values.worker.mode "deployment"))) }}
versioning.keepOld keeps the workers of old versions, which must be processes of their own: set versioning.enabled=true and worker.mode=deployment
{{- end }}
{{- if and .Values.versioning.enabled .Values.versioning.pinnedSagas (not .Values.versioning.keepOld) }}
versioning.pinnedSagas would wait forever for processes of their version once these are removed: set versioning.keepOld=true and worker.mode=deployment, or worker.mode=workerDeployment
{{- end }}
{{- if and .Values.versioning.enabled (not (regexMatch "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$" (include "context.buildId" .))) }}
versioning.buildId {{ include "context.buildId" . | quote }} cannot be a build id: use letters, digits, ".", "_" and "-", at most 63
{{- end }}
{{- end -}}

{{- define "context.problemsOfScaling" -}}
{{- range $name := list "server" "worker" }}
{{- with (index $.Values $name).autoscaling }}
{{- if and (ne .mode "none") (gt (int .minReplicas) (int .maxReplicas)) }}
{{ $name }}.autoscaling.minReplicas {{ .minReplicas }} is above maxReplicas {{ .maxReplicas }}: raise {{ $name }}.autoscaling.maxReplicas
{{- end }}
{{- end }}
{{- if and (eq (index $.Values $name).autoscaling.mode "keda") $.Values.temporal.tls.enabled (not (include "context.kedaSecrets" $)) }}
{{ $name }}.autoscaling.mode keda reaches Temporal with TLS only through a Secret: set temporal.tls.existingSecret or temporal.apiKey.existingSecret, or use hpa
{{- end }}
{{- with index $.Values $name }}
{{- if and (ne .autoscaling.mode "none") (not (dig "requests" "cpu" "" .resources)) }}
{{ $name }}.autoscaling.mode {{ .autoscaling.mode }} measures CPU against the request: set {{ $name }}.resources.requests.cpu
{{- end }}
{{- if and (regexMatch "^0+%?$" (toString .maxSurge)) (regexMatch "^0+%?$" (toString .maxUnavailable)) }}
{{ $name }}.maxSurge and {{ $name }}.maxUnavailable are both 0, so that no rollout could start: raise one of them
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "context.problemsOfLabels" -}}
{{- range $name, $labels := dict "podLabels" .Values.podLabels "server.podLabels" .Values.server.podLabels "worker.podLabels" .Values.worker.podLabels }}
{{- range $label, $_ := $labels }}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh|intent)/" $label }}
{{ $name }} sets {{ $label }}, a label with which the chart finds its pods: choose a label outside app.kubernetes.io, helm.sh and intent
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "context.problemsOfShutdown" -}}
{{- with .Values.shutdown }}
{{- $least := add .preStopSeconds (mul 2 .drainSeconds) }}
{{- if and (not (kindIs "invalid" .gracePeriodSeconds)) (lt (int .gracePeriodSeconds) (int $least)) }}
shutdown.gracePeriodSeconds {{ .gracePeriodSeconds }} would kill pods in the middle of their work: set it to at least {{ $least }} (preStopSeconds and twice drainSeconds), or to null
{{- end }}
{{- end }}
{{- if eq (int .Values.service.port) (int .Values.metrics.port) }}
service.port and metrics.port are both {{ .Values.service.port }}: set metrics.port to another port
{{- end }}
{{- end -}}
