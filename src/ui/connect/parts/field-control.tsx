/** One input with everything that belongs to it (frontend contract §3.3, §3.7). */
import { useId, useState } from 'preact/hooks';
import type { Field } from '../fields.ts';
import { normalised, type Fault } from '../validation.ts';
import type { Words } from '../words/en.ts';
import { fill } from '../words/languages.ts';
import { EyeIcon, HelpIcon } from './icons.tsx';
import { KeyControl } from './key-control.tsx';
import { Select } from './select.tsx';

interface Props {
    readonly field: Field;
    readonly value: string;
    readonly fault: Fault | undefined;
    readonly words: Words;
    onChange(value: string): void;
    onLeave(): void;
    onHelp(): void;
}

export function FieldControl({ field, value, fault, words, onChange, onLeave, onHelp }: Props) {
    const id = useId();
    const [isShown, setShown] = useState(false);
    const { label, description, prefix, suffix, isSecret, isMultiline, isOptional, choices } = field;
    const affixes = [prefix && fill(words.form.startsWith, { text: prefix }), suffix && fill(words.form.endsWith, { text: suffix })].filter(Boolean);
    const described = [affixes.length > 0 && `${id}-affixes`, description && `${id}-text`, fault && `${id}-fault`].filter(Boolean).join(' ');
    const attributes = {
        id,
        name: field.id,
        value,
        autocomplete: 'off',
        autocapitalize: 'off',
        spellcheck: false,
        'aria-required': !isOptional,
        'aria-invalid': fault !== undefined,
        ...(described === '' ? {} : { 'aria-describedby': described }),
        onBlur: () => {
            const tidy = normalised(field, value);
            if (tidy !== value) onChange(tidy);
            onLeave();
        },
    } as const;
    const reveal = isSecret && (
        <button
            type="button"
            class="reveal"
            aria-label={fill(isShown ? words.form.hide : words.form.show, { field: label })}
            aria-pressed={isShown}
            onClick={() => setShown(!isShown)}
        >
            <EyeIcon isOff={isShown} />
        </button>
    );
    return (
        <div class={fault === undefined ? 'field' : 'field faulty'}>
            <div class="label-row">
                <label for={id}>
                    {label}
                    {!isOptional && (
                        <span class="required" aria-hidden="true">
                            *
                        </span>
                    )}
                </label>
                {isOptional && <span class="optional">{words.optional}</span>}
                {field.docsUrl !== undefined && (
                    <a class="field-help" href={field.docsUrl} target="_blank" rel="noreferrer" onClick={onHelp}>
                        <HelpIcon />
                        <span class="unseen">{`${fill(words.fieldHelp, { field: label })} (${words.opensInNewTab})`}</span>
                    </a>
                )}
            </div>
            {choices ? (
                <Select attributes={attributes} choices={choices} emptyChoice={isOptional ? label : undefined} onChange={onChange} />
            ) : isMultiline ? (
                <KeyControl
                    attributes={{ ...attributes, placeholder: field.placeholder }}
                    isMasked={isSecret && !isShown}
                    reveal={reveal}
                    words={words}
                    onChange={onChange}
                />
            ) : (
                <div class="control">
                    {prefix && (
                        <span class="affix" aria-hidden="true">
                            {prefix}
                        </span>
                    )}
                    {isSecret && !isShown ? (
                        <input
                            {...attributes}
                            placeholder={field.placeholder}
                            key="input"
                            type="password"
                            onInput={(event) => onChange(event.currentTarget.value)}
                        />
                    ) : (
                        <input
                            {...attributes}
                            placeholder={field.placeholder}
                            key="input"
                            type="text"
                            onInput={(event) => onChange(event.currentTarget.value)}
                        />
                    )}
                    {suffix && (
                        <span class="affix end" aria-hidden="true">
                            {suffix}
                        </span>
                    )}
                    {reveal}
                </div>
            )}
            {affixes.length > 0 && (
                <span class="unseen" id={`${id}-affixes`}>
                    {affixes.join(', ')}
                </span>
            )}
            {description && (
                <p class="description" id={`${id}-text`}>
                    {description}
                </p>
            )}
            {fault && (
                <p class="fault" id={`${id}-fault`} role="alert">
                    {faultText(field, fault, words)}
                </p>
            )}
        </div>
    );
}

function faultText({ label, example }: Field, fault: Fault, { faults }: Words): string {
    return fault === 'pattern' && example ? fill(faults.patternLike, { example }) : fill(faults[fault], { field: label });
}
